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

/** A client that sends JSON gets JSON, too, unless it asks for a page. A bare `curl` gets the page. */
function prefersJson(req: Request): boolean {
  const accept = req.headers.accept ?? '';
  // The fast way for browsers.
  if (/^text\/html(,|$)/.test(accept) && !accept.includes('json')) return false;
  return (
    req.accepts(['html', 'json']) === 'json' ||
    (Boolean(req.is('json')) && !accept.includes('text/html'))
  );
}
