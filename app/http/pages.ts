import type { Request, RequestHandler, Response } from 'express';
import { takeFlash } from './flash.ts';
import type { Render } from './views.ts';

export type Pages = ReturnType<typeof createPages>;

type PagesOptions = {
  render: Render;
  /** What surrounds every page. There may be no session: an error page is shown without one. */
  frame: (req: Request) => object;
};

/** Answers with pages. A view sees as `page`: the frame, the flash and its own content. */
export function createPages({ render, frame }: PagesOptions) {
  async function showHtml(req: Request, res: Response, view: string, content: object) {
    // First, because it is a write. An error page leaves the sentence to the next page.
    const flash = res.statusCode < 400 ? await takeFlash(req) : undefined;
    const html = render(view, {
      origin: `${req.protocol}://${req.host}`,
      path: req.path,
      ...frame(req),
      flash,
      ...content,
    });
    // Not res.send, which would look at ETag, charset and freshness for nothing.
    res.setHeader('Content-Type', 'text/html; charset=utf-8');
    res.setHeader('Content-Length', Buffer.byteLength(html)).end(html);
  }

  /** Shows something: a program gets `json`, a browser gets the view with `content`. */
  async function show(
    req: Request,
    res: Response,
    view: string,
    content: object,
    json: object,
  ): Promise<void> {
    if (req.wantsJson) res.json(json);
    else await showHtml(req, res, view, content);
  }

  return { show, showHtml };
}

/** For answers that depend on the visitor and on the format: no cache may keep them. */
export const neverCache: RequestHandler = (_req, res, next) => {
  res.setHeader('Cache-Control', 'no-store').setHeader('Vary', 'Accept');
  next();
};

/** Ends a form: a browser is redirected to the page at `path`, a program gets `outcome` as JSON. */
export function redirectOrJson(req: Request, res: Response, path: string, outcome: object): void {
  if (req.wantsJson) res.json(outcome);
  // Not res.redirect, which weighs Accept again to write a body that nobody reads.
  else res.status(303).location(path).end();
}
