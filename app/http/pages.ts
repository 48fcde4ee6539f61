import type { Request, RequestHandler, Response } from 'express';
import { takeFlash } from './flash.ts';
import type { Render } from './views.ts';

export type Pages = ReturnType<typeof createPages>;

/**
 * Answers with pages. A view gets the frame, the flash and its own content as `page`.
 * @param frame what surrounds every page. An error page may have no session.
 */
export function createPages(render: Render, frame: (req: Request) => object) {
  async function showHtml(req: Request, res: Response, view: string, content: object) {
    // First, because it is a write. An error page leaves the flash to the next page.
    const flash = res.statusCode < 400 ? await takeFlash(req) : undefined;
    const html = render(view, {
      origin: `${req.protocol}://${req.host}`,
      path: req.path,
      ...frame(req),
      flash,
      ...content,
    });
    // res.send would also compute an ETag and look at the charset, which costs time on every page.
    res.setHeader('Content-Type', 'text/html; charset=utf-8');
    res.setHeader('Content-Length', Buffer.byteLength(html)).end(html);
  }

  /** Sends `json` to a program, and the view with `content` to a browser. */
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

/** No cache may keep these answers: they depend on the visitor and on the format. */
export const neverCache: RequestHandler = (_req, res, next) => {
  res.setHeader('Cache-Control', 'no-store').setHeader('Vary', 'Accept');
  next();
};

/** Ends a form: sends `json` to a program, and redirects a browser to the page at `path`. */
export function redirectOrJson(req: Request, res: Response, path: string, json: object): void {
  if (req.wantsJson) res.json(json);
  // res.redirect would also write a body, which nobody reads.
  else res.status(303).location(path).end();
}
