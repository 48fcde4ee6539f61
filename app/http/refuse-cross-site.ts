import { type RequestHandler, Router } from 'express';
import { crossSiteSign } from '../session/index.ts';
import { Refusal } from './refusal.ts';

export function forChanges(...handlers: RequestHandler[]): RequestHandler {
  const router = Router().use(handlers);
  const readOnly = ['GET', 'HEAD', 'OPTIONS'];
  return (req, res, next) => (readOnly.includes(req.method) ? next() : router(req, res, next));
}

const REFUSED = 'This form was sent from another site, so the shop refused it.';

/**
 * No token is needed, because browsers say which site a request comes from: see `crossSiteSign`. The app's
 * own forms pass, even inside another site's page.
 */
export const refuseCrossSite: RequestHandler = (req, _res, next) => {
  const sign = crossSiteSign(req.headers, req.host, req.secure);
  if (sign === undefined) return next();
  if (sign !== 'host') throw new Refusal(403, REFUSED);
  const origin = URL.parse(req.get('Origin') ?? '')?.origin;
  const header = req.host === req.get('Host') ? 'Host' : 'X-Forwarded-Host';
  throw new Refusal(
    403,
    `${REFUSED} Its Origin is ${origin}, but its ${header} is ${req.host}. If both are this shop, ` +
      `a proxy changed the ${header}. For nginx: proxy_set_header ${header} $http_host;`,
  );
};
