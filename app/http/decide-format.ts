import type { Request, RequestHandler } from 'express';

declare module 'express-serve-static-core' {
  interface Request {
    /** Whether the answer is JSON. Otherwise it is a page. */
    wantsJson: boolean;
  }
}

/** Decides between JSON and a page, once for each request. */
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
  // This is how a browser asks. Express takes longer to find out.
  if (/^text\/html(,|$)/.test(accept) && !accept.includes('json')) return false;
  return (
    req.accepts(['html', 'json']) === 'json' ||
    (Boolean(req.is('json')) && !accept.includes('text/html'))
  );
}
