import { generateKeyPairSync, sign } from 'node:crypto';
import { losslessShop } from './lossless-shop.ts';
import { visitorOf } from './races.ts';

/**
 * Somebody logs in, and a thief sends the session cookie from elsewhere. With `deviceBound`, the browser
 * registers a key and proves it, as Chromium does.
 */
export async function stealCookie(deviceBound: boolean) {
  let clock = Date.now();
  const shop = losslessShop(async () => {}, { deviceBound, now: () => clock });
  const visit = visitorOf(shop);
  const https = { 'x-forwarded-proto': 'https' };
  const started = performance.now();
  const { headers } = await visit('POST', '/log-in', https);
  const cookie = headers['set-cookie']?.[0]?.split(';', 1)[0] ?? '';
  if (deviceBound) {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const prove = (path: string, offer: unknown, jwk?: object) => {
      const jti = /"(\d+\.[\w-]+)"/.exec(String(offer))?.[1];
      const parts = [{ alg: 'ES256', typ: 'dbsc+jwt', jwk }, { jti }].map((part) =>
        Buffer.from(JSON.stringify(part)).toString('base64url'),
      );
      const signed = parts.join('.');
      const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const;
      const signature = sign('sha256', Buffer.from(signed), key).toString('base64url');
      const proof = { 'secure-session-response': `${signed}.${signature}` };
      return visit('POST', path, { ...https, ...proof, cookie });
    };
    const offer = headers['secure-session-registration'];
    const jwk = publicKey.export({ format: 'jwk' });
    const registered = await prove('/dbsc/registration', offer, jwk);
    await prove('/dbsc/refresh', registered.headers['secure-session-challenge']);
    clock += 11_000; // the grace period for requests under way is over
  }
  const { status } = await visit('GET', '/', { ...https, cookie });
  const ms = performance.now() - started;
  return { right: status === 401 ? 1 : 0, total: 1, answers: [status], ms };
}
