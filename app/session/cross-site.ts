import type { IncomingHttpHeaders } from 'node:http';

/**
 * Whether another site's page sent a request. The browser adds the cookie all the same: that is
 * cross-site request forgery or, for a socket, cross-site WebSocket hijacking.
 * This is the rule of Go 1.25's http.CrossOriginProtection: Sec-Fetch-Site decides. Without it (an old
 * browser, or plain HTTP), Origin must name this host. A client that sends neither is not a browser, so it
 * holds no visitor's cookie.
 * @param host of this app, as the browser knows it
 * @param secure whether the browser reaches this app over HTTPS
 * @returns what shows it; undefined when the request comes from this site
 */
export function crossSiteSign(
  { origin, 'sec-fetch-site': site }: IncomingHttpHeaders,
  host: string | undefined,
  secure: boolean,
): 'site' | 'host' | 'protocol' | undefined {
  if (site !== undefined) return site === 'same-origin' || site === 'none' ? undefined : 'site';
  if (origin === undefined) return undefined;
  const from = URL.parse(origin);
  if (from?.protocol !== 'https:' && from?.protocol !== 'http:') return 'protocol';
  // The app may not know that it is reached over HTTPS, so the default port is that of the origin.
  if (hostOf(from) !== hostOf(URL.parse(`${from.protocol}//${host}`))) return 'host';
  // Anyone on the network path can pose as this site over plain HTTP.
  return secure && from.protocol === 'http:' ? 'protocol' : undefined;
}

/** With the port, unless it is the default. */
const hostOf = (url: URL | null) => url?.host.replace(/\.(?=:|$)/, '');
