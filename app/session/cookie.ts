import { parse } from 'cookie';
import { unsign } from 'cookie-signature';

/**
 * The session cookie as the browser sent it, read with the parsers that express-session uses: all
 * code that reads the cookie must see the same one.
 * @returns undefined when there is none; `signedBy` is the index of the secret that verifies it, -1
 *   for none of them
 */
export function readCookie(
  header: string | undefined,
  name: string,
  secrets: readonly string[],
): { signature: string; signedBy: number } | undefined {
  const value = header && parse(header)[name];
  if (value === undefined || value === '') return undefined;
  const signed = value.startsWith('s:') ? value.slice('s:'.length) : '';
  return {
    signature: signed.slice(signed.lastIndexOf('.') + 1),
    signedBy: secrets.findIndex((secret) => unsign(signed, secret) !== false),
  };
}
