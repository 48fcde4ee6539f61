import { createPublicKey, verify } from 'node:crypto';
import { z } from 'zod';

/** With an RSA key of 4,096 bits, a proof has about 2,000 characters. */
const MAX_PROOF = 4096;

const base64url = z.string().regex(/^[\w-]+$/);
export const publicKey = z.discriminatedUnion('kty', [
  z.object({ kty: z.literal('EC'), crv: z.literal('P-256'), x: base64url, y: base64url }),
  z.object({ kty: z.literal('RSA'), n: base64url, e: base64url.max(8) }),
]);
export type PublicKey = z.infer<typeof publicKey>;
export const algorithmOf = ({ kty }: { readonly kty: PublicKey['kty'] }) =>
  kty === 'EC' ? 'ES256' : 'RS256';

const proofHeader = z.object({
  alg: z.enum(['ES256', 'RS256']),
  typ: z.literal('dbsc+jwt'),
  jwk: publicKey.optional(),
});
const proofPayload = z.object({ jti: z.string() });

export class BadProof extends Error {}

/**
 * Verifies a proof of the browser: a JWS in its compact form.
 * @param known the key of the session; without it, the key is taken from the proof
 * @throws BadProof
 */
export function readProof(text: string, known?: PublicKey): { key: PublicKey; challenge: string } {
  if (text.length > MAX_PROOF) throw new BadProof('oversize');
  const [, head = '', body = '', signature] = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(text) ?? [];
  if (!signature) throw new BadProof('malformed');
  try {
    const { alg, jwk } = proofHeader.parse(jsonOf(head));
    const { jti: challenge } = proofPayload.parse(jsonOf(body));
    const key = publicKey.parse(known ?? jwk);
    const keyObject = createPublicKey({ key: { ...key }, format: 'jwk' });
    const { modulusLength = 2048 } = keyObject.asymmetricKeyDetails ?? {};
    if (alg !== algorithmOf(key) || modulusLength < 2048 || modulusLength > 4096)
      throw new BadProof('key');
    const signed = Buffer.from(`${head}.${body}`);
    const format = { key: keyObject, dsaEncoding: 'ieee-p1363' } as const;
    if (!verify('sha256', signed, format, Buffer.from(signature, 'base64url')))
      throw new BadProof('signature');
    return { key, challenge };
  } catch (error) {
    throw error instanceof BadProof ? error : new BadProof('malformed');
  }
}

const jsonOf = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString());
