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

/** A parameter of a media type, but not its weight `q`. */
const PARAMETER = /;(?!\s*q\s*=)[^;,="]*(=("(\\.|[^"\\])*"|[^;,"]*))?/g;

/**
 * A client that asks for JSON gets it, and so does a client that sends JSON without asking for a page.
 * A browser and a bare `curl` get the page.
 */
function prefersJson(req: Request): boolean {
  const accept = (req.headers.accept ?? '').toLowerCase();
  // The fast way for browsers.
  if (/^text\/html(,|$)/.test(accept) && !accept.includes('json')) return false;
  // With a parameter, as in `application/json; charset=utf-8`, Express would match neither JSON nor a page.
  if (accept.includes(';')) req.headers.accept = accept.replaceAll(PARAMETER, '');
  return (
    req.accepts(['html', 'json']) === 'json' ||
    (Boolean(req.is('json')) && !accept.includes('text/html'))
  );
}
