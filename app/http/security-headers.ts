import type { ServerResponse } from 'node:http';
import type { RequestHandler } from 'express';
import helmet from 'helmet';

/**
 * Security headers for every answer. Pages load only the shop's own files, nobody can frame them, and
 * their forms go only to the shop. Helmet runs once, because its headers are always the same.
 * @param https adds HSTS, which would lock a plain-HTTP development server out of the browser
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
    // These only matter to Internet Explorer and Flash.
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
