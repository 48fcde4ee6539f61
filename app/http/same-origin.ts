import { type RequestHandler, Router } from 'express';
import { Refusal } from './refusal.ts';

/** These change nothing, so it does not matter which site sent them. */
const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS'];

/** Runs `handlers` for the requests that may change something. */
export function forChanges(...handlers: RequestHandler[]): RequestHandler {
  const router = Router().use(handlers);
  return (req, res, next) => (SAFE_METHODS.includes(req.method) ? next() : router(req, res, next));
}

/**
 * Cross-site request forgery: another site's page makes the visitor's browser send a form here, and
 * the cookie comes along. Browsers say where a request comes from, so no token is needed.
 * The rule of Go 1.25's http.CrossOriginProtection: Sec-Fetch-Site decides. Without it (an old
 * browser) Origin must name this host. A client that sends neither is no browser and holds nobody's
 * cookie.
 */
export const refuseCrossSite: RequestHandler = (req, _res, next) => {
  if (SAFE_METHODS.includes(req.method)) return next();
  const site = req.get('Sec-Fetch-Site');
  const origin = req.get('Origin');
  const ours =
    site === undefined
      ? origin === undefined || (URL.parse(origin)?.host ?? '?') === req.host
      : site === 'same-origin' || site === 'none';
  if (!ours)
    throw new Refusal(403, 'This form was sent from another site, so it was not accepted.');
  next();
};

/** Two programs on the way may read such a request differently, so nobody reads it. */
export const refuseAmbiguous: RequestHandler = (req, _res, next) => {
  const hosts = req.rawHeaders.filter((name, n) => n % 2 === 0 && name.toLowerCase() === 'host');
  if (hosts.length > 1) throw new Refusal(400, 'The request names two hosts.');
  if (!req.path.startsWith('/')) throw new Refusal(400, 'The request names no path.');
  next();
};
