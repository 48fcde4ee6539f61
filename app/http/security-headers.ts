import type { ServerResponse } from 'node:http';
import type { RequestHandler } from 'express';
import helmet from 'helmet';

/** False where browsers may open the server over plain HTTP: in development, or with HSTS=off. */
export type Hsts = { maxAge: number; includeSubDomains: boolean } | false;

/** Helmet runs once, because its headers are the same for every response. */
export function securityHeaders(hsts: Hsts): RequestHandler {
  const headers = new Map<string, string>();
  const recorder = {
    setHeader: (name: string, value: string) => headers.set(name, value),
    removeHeader: () => {},
  };
  const write = helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        'default-src': ["'none'"],
        'connect-src': ["'self'"],
        'base-uri': ["'none'"],
        'form-action': ["'self'"],
        'frame-ancestors': ["'none'"],
        'img-src': ["'self'"],
        'manifest-src': ["'self'"],
        'script-src': ["'self'"],
        'style-src': ["'self'"],
      },
    },
    // The default, no-referrer, makes Chromium send `Origin: null` with the shop's own forms.
    referrerPolicy: { policy: 'same-origin' },
    strictTransportSecurity: hsts,
    xFrameOptions: { action: 'deny' },
    // Obsolete.
    xDnsPrefetchControl: false,
    xDownloadOptions: false,
    xPermittedCrossDomainPolicies: false,
    xXssProtection: false,
  });
  write({} as never, recorder as unknown as ServerResponse, () => {});
  return (_req, res, next) => {
    res.setHeaders(headers);
    next();
  };
}
