import helmet from 'helmet';

/** False where browsers may open the server over plain HTTP: in development, or with HSTS=off. */
export type Hsts = { maxAge: number; includeSubDomains: boolean } | false;

export const securityHeaders = (hsts: Hsts) =>
  helmet({
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
