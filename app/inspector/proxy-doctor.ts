import type { Request, RequestHandler } from 'express';
import type { Logger } from 'pino';
import { cookieReachesBrowser } from '../session/index.ts';

/**
 * The classic of deployment: the cookie is Secure, a proxy ends TLS, the app sees plain HTTP, and
 * express-session leaves the cookie out without a word: nobody can log in. This says why.
 * @returns undefined where the cookie arrives; else the request as it was received, and the line to
 *   change
 */
export function diagnose(req: Request) {
  if (cookieReachesBrowser(req)) return undefined;
  const peer = req.socket.remoteAddress ?? 'unknown';
  const forwardedProto = req.get('X-Forwarded-Proto');
  return {
    scheme: req.protocol,
    host: req.host,
    client: req.ip,
    peer,
    forwardedFor: req.get('X-Forwarded-For'),
    forwardedProto,
    ...prescribe(peer, req.app.get('trust proxy fn')(peer, 0), forwardedProto),
  };
}

function prescribe(peer: string, trusted: boolean, forwardedProto: string | undefined) {
  if (forwardedProto === undefined)
    return {
      cause: 'No X-Forwarded-Proto came along: if a proxy ends TLS here, it does not say so.',
      changes: [
        ['nginx', 'proxy_set_header X-Forwarded-Proto $scheme;'],
        ['Caddy', 'reverse_proxy sends it by itself: is it Caddy that the browser talks to?'],
        ['A load balancer', 'an HTTPS listener that adds X-Forwarded-Proto'],
      ],
    };
  if (!trusted && forwardedProto.split(',', 1)[0]?.trim() === 'https')
    return {
      cause: `X-Forwarded-Proto says https, but it came from ${peer}, which TRUST_PROXY does not trust.`,
      changes: [
        ['For the app', `TRUST_PROXY=${trustable(peer)}`],
        ['Behind several proxies', 'TRUST_PROXY=their number, or all their addresses'],
      ],
    };
  return {
    cause: `The browser reached the proxy over ${forwardedProto}, not over https.`,
    changes: [
      ['nginx', 'listen 80; return 308 https://$host$request_uri;'],
      ['Caddy', 'an address without http:// redirects by itself'],
      ['A load balancer', 'a redirect from the HTTP listener to the HTTPS listener'],
    ],
  };
}

/** How TRUST_PROXY names the peer: as Express does, for IPv4 without the prefix of IPv6. */
function trustable(peer: string): string {
  const address = peer.replace(/^::ffff:/, '');
  return address === '::1' || address.startsWith('127.') ? 'loopback' : address;
}

/** One warning in the log of each process, not one a request; the pages say it, too. */
export function warnOfLostCookie(log: Logger): RequestHandler {
  let warned = false;
  return (req, _res, next) => {
    const diagnosis = warned ? undefined : diagnose(req);
    if (diagnosis) {
      warned = true;
      log.warn(diagnosis, 'No session cookie is sent, so nobody can log in');
    }
    next();
  };
}
