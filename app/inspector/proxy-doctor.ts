import type { Request, RequestHandler } from 'express';
import type { Logger } from 'pino';
import { canonicalAddress } from '../http/remember-client.ts';
import { cookieReachesBrowser } from '../session/index.ts';

/**
 * If the cookie is Secure but a proxy terminates TLS, so that the app sees plain HTTP,
 * express-session silently sends no cookie and nobody can log in. This says why, and what to
 * change.
 */
export function diagnose(req: Request) {
  if (cookieReachesBrowser(req)) return undefined;
  const peer = canonicalAddress(req.socket.remoteAddress ?? '') ?? 'unknown';
  return {
    scheme: req.protocol,
    host: req.host,
    client: req.ip,
    peer,
    forwardedFor: req.get('X-Forwarded-For'),
    forwardedProto: req.get('X-Forwarded-Proto'),
    ...prescribe(req, peer),
  };
}

const PASS_ON = 'proxy_set_header X-Forwarded-Proto $http_x_forwarded_proto;';

function prescribe(req: Request, peer: string) {
  const header = req.get('X-Forwarded-Proto');
  const scheme = header?.split(',', 1)[0]?.trim().toLowerCase() ?? '';
  if (scheme === 'https')
    return {
      cause: `X-Forwarded-Proto says https, but it came from ${peer}, which TRUST_PROXY does not trust.`,
      changes: [
        ["In the app's environment", `TRUST_PROXY=${trustable(peer)}`],
        ['Behind several proxies', 'TRUST_PROXY=number of proxies, or all their addresses'],
      ],
    };
  if (cameThroughSeveral(req))
    return {
      cause: `The request came through several proxies. The last one, ${peer}, sent ${scheme || 'no scheme'} as X-Forwarded-Proto. It must pass on what the proxy that terminates TLS says.`,
      changes: [
        [`nginx at ${peer}`, PASS_ON],
        [`Caddy at ${peer}`, 'servers { trusted_proxies static private_ranges }'],
        ['The first proxy', 'let it terminate TLS, and redirect plain HTTP to HTTPS'],
      ],
    };
  if (scheme === '')
    return {
      cause: `The request has ${header === undefined ? 'no' : 'an empty'} X-Forwarded-Proto header. A proxy that terminates TLS must send it.`,
      changes: [
        ['nginx', 'proxy_set_header X-Forwarded-Proto $scheme;'],
        ['Caddy', 'reverse_proxy sends it by itself. Check that the browser connects to Caddy.'],
        ['A load balancer', 'use an HTTPS listener that adds X-Forwarded-Proto'],
      ],
    };
  return {
    cause: `The browser connected to the proxy over ${scheme}, not https.`,
    changes: [
      ['nginx', 'listen 80; return 308 https://$host$request_uri;'],
      ['Caddy', 'a site address without http:// redirects to HTTPS by itself'],
      ['A load balancer', 'redirect the HTTP listener to the HTTPS listener'],
      ['nginx behind a proxy that terminates TLS', PASS_ON],
    ],
  };
}

/** If so, the scheme that arrives is the inner proxy's, and a redirect to https would never end. */
const cameThroughSeveral = (req: Request) =>
  req.get('X-Forwarded-For')?.includes(',') ||
  /"https"/i.test(req.get('CF-Visitor') ?? '') ||
  /proto="?https/i.test(req.get('Forwarded') ?? '');

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
