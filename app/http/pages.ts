import type { Request, RequestHandler, Response } from 'express';
import { takeFlash } from './flash.ts';
import type { Render } from './views.ts';

export type Pages = ReturnType<typeof createPages>;

/**
 * A view gets, as `page`: the frame (what every page shows around its content), the flash, and its
 * own content.
 */
export function createPages(render: Render, frame: (req: Request) => object) {
  async function showHtml(req: Request, res: Response, view: string, content: object) {
    // An error page leaves the flash to the next page.
    const flash = res.statusCode < 400 ? await takeFlash(req) : undefined;
    const html = render(view, {
      origin: `${req.protocol}://${req.host}`,
      path: req.path.replace(/^\/+/, '/'), // a link to `//host` leads to another site
      ...frame(req),
      flash,
      ...content,
    });
    // Faster than res.send.
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

export const neverCache: RequestHandler = (_req, res, next) => {
  res.setHeader('Cache-Control', 'no-store').setHeader('Vary', 'Accept');
  next();
};

/** @param json what a program gets instead of the redirect */
export function redirectOrJson(
  req: Request,
  res: Response,
  path: string,
  json: () => object = () => ({}),
): void {
  if (req.wantsJson) res.json(json());
  // Faster than res.redirect.
  else res.status(303).location(path).end();
}
