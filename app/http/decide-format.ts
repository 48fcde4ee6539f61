import type { Request, RequestHandler } from 'express';

declare module 'express-serve-static-core' {
  interface Request {
    wantsJson: boolean;
  }
}

export const decideFormat: RequestHandler = (req, _res, next) => {
  req.wantsJson = prefersJson(req);
  next();
};

/**
 * A client that asks for JSON gets it, and so does a client that sends JSON without asking for a page.
 * A browser and a bare `curl` get the page.
 */
function prefersJson(req: Request): boolean {
  const accept = req.headers.accept ?? '';
  // The fast way for browsers.
  if (/^text\/html(,|$)/.test(accept) && !accept.includes('json')) return false;
  return (
    req.accepts(['html', 'json']) === 'json' ||
    (Boolean(req.is('json')) && !accept.includes('text/html'))
  );
}
