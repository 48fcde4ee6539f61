import { type RequestHandler, Router } from 'express';
import { Refusal } from './refusal.ts';

export function forChanges(...handlers: RequestHandler[]): RequestHandler {
  const router = Router().use(handlers);
  const readOnly = ['GET', 'HEAD', 'OPTIONS'];
  return (req, res, next) => (readOnly.includes(req.method) ? next() : router(req, res, next));
}

/**
 * Cross-site request forgery: another site's page makes the visitor's browser send a form here, and
 * the browser adds the cookie. Browsers say which site a request comes from, so no token is needed.
 * This is the rule of Go 1.25's http.CrossOriginProtection: Sec-Fetch-Site decides. Without it (an
 * old browser), Origin must name this host. A client that sends neither is not a browser, so it holds
 * no visitor's cookie.
 */
export const refuseCrossSite: RequestHandler = (req, _res, next) => {
  const site = req.get('Sec-Fetch-Site');
  const origin = req.get('Origin');
  const sameSite =
    site === undefined
      ? origin === undefined || (URL.parse(origin)?.host ?? '?') === req.host
      : site === 'same-origin' || site === 'none';
  if (!sameSite)
    throw new Refusal(403, 'This form was sent from another site, so the shop refused it.');
  next();
};
