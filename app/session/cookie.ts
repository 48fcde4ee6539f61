import { parse, serialize } from 'cookie';
import { unsign } from 'cookie-signature';
import type { CookieOptions } from 'express-session';
import { requireAll } from './stores/require.ts';

type Attributes = {
  httpOnly: true;
  /** A request outside this path has no session. */
  path: string;
  /** Browsers also send the cookie to the subdomains of this domain. Default: to this host only */
  domain?: string | undefined;
} & (
  | { secure: boolean; sameSite: 'lax' | 'strict'; partitioned?: false | undefined }
  /** `partitioned`: embedded in other sites, the app has one cookie for each of those sites. */
  | { secure: true; sameSite: 'lax' | 'strict' | 'none'; partitioned?: boolean | undefined }
);

/** What browsers require of a cookie because of the prefix of its name, in upper or lower case. */
type RequiredBy<Name extends string> =
  Lowercase<Name> extends `__host-${string}`
    ? { secure: true; path: '/'; domain?: undefined }
    : Lowercase<Name> extends `__secure-${string}` | `__http-${string}`
      ? { secure: true }
      : unknown;

type Named<Name extends string> = Name extends unknown
  ? { name: Name; attributes: Attributes & RequiredBy<Name> }
  : never;

/**
 * A combination that browsers refuse does not compile, if the compiler knows the name.
 * There is no `expires`: the module sets it for a persistent session, and any other cookie ends with the
 * browser.
 */
export type SessionCookie<Name extends string = string> = { name: Name } & Named<Name>;

type Untyped = { name: string; attributes: CookieOptions };

/** @throws TypeError if browsers would refuse the cookie, which they do silently */
export function requireValidCookie({ name, attributes }: Untyped): void {
  const { httpOnly, path, domain, secure, sameSite, partitioned } = attributes;
  const [prefix] = /^__(host|secure|http)-/i.exec(name) ?? [];
  const isHost = prefix?.toLowerCase() === '__host-';
  const named = `a cookie whose name begins with ${prefix}`;
  requireAll(
    [httpOnly, 'The session cookie must have httpOnly: true'],
    [path?.startsWith('/'), "The path of the session cookie must begin with '/'"],
    [
      ['lax', 'strict', 'none'].includes(String(sameSite)),
      "sameSite of the session cookie must be 'lax', 'strict' or 'none'",
    ],
    [sameSite !== 'none' || secure, "Browsers refuse sameSite: 'none' without secure: true"],
    [!partitioned || secure, 'Browsers refuse partitioned: true without secure: true'],
    [!prefix || secure, `Browsers refuse ${named} without secure: true`],
    [!isHost || !domain, `Browsers refuse ${named} with a domain`],
    [!isHost || path === '/', `Browsers refuse ${named} with a path other than '/'`],
  );
  serialize(name, '', { path, domain }); // throws a TypeError when one of them is malformed
}

/** Whether browsers send a cookie with this path on a request for `url`: RFC 6265, 5.1.4. */
export function isSentFor(url: string, path: string): boolean {
  const [asked = ''] = url.split('?', 1);
  return asked === path || asked.startsWith(path.replace(/\/?$/, '/'));
}

/**
 * The session cookie as the browser sent it, read with the parsers that express-session uses: all
 * code that reads the cookie must see the same one.
 * @returns undefined if there is none; `signedBy` is the index of the secret that verifies it, or -1 if
 *   none does: then `id` must not be trusted
 */
export function readCookie(
  header: string | undefined,
  name: string,
  secrets: readonly string[],
): { id: string; signature: string; signedBy: number } | undefined {
  const value = header && parse(header)[name];
  if (value === undefined || value === '') return undefined;
  const signed = value.startsWith('s:') ? value.slice('s:'.length) : '';
  const dot = signed.lastIndexOf('.');
  return {
    id: signed.slice(0, Math.max(dot, 0)),
    signature: signed.slice(dot + 1),
    signedBy: secrets.findIndex((secret) => unsign(signed, secret) !== false),
  };
}

/** Adds a second name for a cookie to a Cookie header, unless that name is there already. */
export function alsoNamed(header: string | undefined, name: string, alias: string) {
  const { [name]: value, [alias]: present } = parse(header ?? '');
  if (value === undefined || present !== undefined) return header;
  return `${header}; ${serialize(alias, value)}`;
}
