import type { RequestHandler } from 'express';
import { Refusal } from './refusal.ts';

/** These change nothing, so it does not matter who had them sent. */
export const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS'];

/**
 * Cross-site request forgery: another site's page makes the visitor's browser send a form here, and
 * the cookie comes along. Browsers say where a request comes from, so no token is needed.
 * The rule of Go 1.25's http.CrossOriginProtection: Sec-Fetch-Site decides; without it (an old
 * browser) Origin must name this host; with neither, it is no browser and holds nobody's cookie.
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

/** What one program on the way reads in one way and the next in another is not read at all. */
export const refuseAmbiguous: RequestHandler = (req, _res, next) => {
  const hosts = req.rawHeaders.filter((name, n) => n % 2 === 0 && name.toLowerCase() === 'host');
  if (hosts.length > 1) throw new Refusal(400, 'The request names two hosts.');
  if (!req.path.startsWith('/')) throw new Refusal(400, 'The request names no path.');
  next();
};
