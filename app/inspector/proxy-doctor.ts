import type { Request, RequestHandler } from 'express';
import type { Logger } from 'pino';
import { canonicalAddress } from '../http/remember-client.ts';
import { cookieReachesBrowser } from '../session/index.ts';

/**
 * When the cookie is Secure, a proxy ends TLS and the app sees plain HTTP, express-session silently
 * sends no cookie, and nobody can log in. This says why, and what to change.
 */
export function diagnose(req: Request) {
  if (cookieReachesBrowser(req)) return undefined;
  const peer = canonicalAddress(req.socket.remoteAddress ?? '') ?? 'unknown';
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
      cause: 'The request has no X-Forwarded-Proto header. A proxy that ends TLS must send it.',
      changes: [
        ['nginx', 'proxy_set_header X-Forwarded-Proto $scheme;'],
        ['Caddy', 'reverse_proxy sends it by itself. Check that the browser connects to Caddy.'],
        ['A load balancer', 'use an HTTPS listener that adds X-Forwarded-Proto'],
      ],
    };
  if (!trusted && forwardedProto.split(',', 1)[0]?.trim() === 'https')
    return {
      cause: `X-Forwarded-Proto says https, but it came from ${peer}, which TRUST_PROXY does not trust.`,
      changes: [
        ["In the app's environment", `TRUST_PROXY=${trustable(peer)}`],
        ['Behind several proxies', 'TRUST_PROXY=number of proxies, or all their addresses'],
      ],
    };
  return {
    cause: `The browser connected to the proxy over ${forwardedProto}, not https.`,
    changes: [
      ['nginx', 'listen 80; return 308 https://$host$request_uri;'],
      ['Caddy', 'a site address without http:// redirects to HTTPS by itself'],
      ['A load balancer', 'redirect the HTTP listener to the HTTPS listener'],
    ],
  };
}

const trustable = (peer: string) => (peer === '::1' || peer.startsWith('127.') ? 'loopback' : peer);

/** Logs one warning, not one for each request. */
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
