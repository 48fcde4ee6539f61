import type { RequestHandler } from 'express';
import type { Logger } from 'pino';
import { cookieReachesBrowser } from '../session/session.ts';

/**
 * The classic of deployment: the cookie is Secure, a proxy ends TLS, the app sees plain HTTP, and
 * express-session leaves the cookie out without a word. This is the word, once for each process;
 * the pages say it too.
 */
export function warnOfLostCookie(log: Logger): RequestHandler {
  let warned = false;
  return (req, _res, next) => {
    if (!warned && !cookieReachesBrowser(req)) {
      warned = true;
      const { protocol: scheme, host, ip: client } = req;
      log.warn(
        { scheme, host, client, forwardedProto: req.get('X-Forwarded-Proto') },
        'No session cookie is sent: the request came as plain HTTP. Behind a proxy that ends TLS, let it send X-Forwarded-Proto and set TRUST_PROXY to the number of proxies or their addresses',
      );
    }
    next();
  };
}
