import type { Request, RequestHandler } from 'express';

declare module 'express-serve-static-core' {
  interface Request {
    /** Whether the answer is JSON. Otherwise it is a page. */
    wantsJson: boolean;
  }
}

/** Decides once, for all who answer the request, between JSON and a page. */
export const decideFormat: RequestHandler = (req, _res, next) => {
  req.wantsJson = prefersJson(req);
  next();
};

/**
 * Clients that ask for JSON get it, and so do clients that send JSON without asking for a page. A
 * browser and a bare `curl` get the page.
 */
function prefersJson(req: Request): boolean {
  const accept = req.headers.accept ?? '';
  // A browser names pages first, so the costly weighing of all that it accepts is not needed.
  if (/^text\/html(,|$)/.test(accept) && !accept.includes('json')) return false;
  return (
    req.accepts(['html', 'json']) === 'json' ||
    (Boolean(req.is('json')) && !accept.includes('text/html'))
  );
}
