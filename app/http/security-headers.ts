import type { ServerResponse } from 'node:http';
import type { RequestHandler } from 'express';
import helmet from 'helmet';

/**
 * Helmet runs once, because its headers are the same for every answer.
 * @param https adds HSTS. After that, browsers refuse to open a development server over plain HTTP.
 */
export function securityHeaders({ https }: { https: boolean }): RequestHandler {
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
    strictTransportSecurity: https && { maxAge: 63_072_000, includeSubDomains: true },
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
