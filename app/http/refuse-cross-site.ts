import { type Request, type RequestHandler, Router } from 'express';
import { Refusal } from './refusal.ts';

export function forChanges(...handlers: RequestHandler[]): RequestHandler {
  const router = Router().use(handlers);
  const readOnly = ['GET', 'HEAD', 'OPTIONS'];
  return (req, res, next) => (readOnly.includes(req.method) ? next() : router(req, res, next));
}

const REFUSED = 'This form was sent from another site, so the shop refused it.';

/**
 * Cross-site request forgery: another site's page makes the visitor's browser send a form here, and the
 * browser adds the cookie. Browsers say which site a request comes from, so no token is needed.
 * This is the rule of Go 1.25's http.CrossOriginProtection: Sec-Fetch-Site decides. Without it (an old
 * browser, or plain HTTP), Origin must name this host. A client that sends neither is not a browser, so it
 * holds no visitor's cookie.
 */
export const refuseCrossSite: RequestHandler = (req, _res, next) => {
  const site = req.get('Sec-Fetch-Site');
  const origin = req.get('Origin');
  if (site === undefined && origin !== undefined) requireOwnOrigin(req, origin);
  if (site !== undefined && site !== 'same-origin' && site !== 'none')
    throw new Refusal(403, REFUSED);
  next();
};

function requireOwnOrigin(req: Request, origin: string): void {
  const from = URL.parse(origin);
  if (from?.protocol !== 'https:' && from?.protocol !== 'http:') throw new Refusal(403, REFUSED);
  // The app may not know that it is reached over HTTPS, so the default port is that of the origin.
  const here = URL.parse(`${from.protocol}//${req.host}`);
  if (hostOf(from) !== hostOf(here)) {
    const header = req.host === req.get('Host') ? 'Host' : 'X-Forwarded-Host';
    throw new Refusal(
      403,
      `${REFUSED} Its Origin is ${from.origin}, but its ${header} is ${req.host}. If both ` +
        `are this shop, a proxy changed the ${header}. For nginx: proxy_set_header ${header} $http_host;`,
    );
  }
  // Anyone on the network between can answer as the HTTP site.
  if (req.secure && from.protocol === 'http:') throw new Refusal(403, REFUSED);
}

/** With the port, unless it is the default. */
const hostOf = (url: URL | null) => url?.host.replace(/\.(?=:|$)/, '');
