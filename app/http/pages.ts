import type { Request, Response } from 'express';
import { countItems } from '../cart/cart.ts';
import { addedAtLogIn, currentCart } from '../cart/current-cart.ts';
import { diagnose } from '../inspector/proxy-doctor.ts';
import { describeSession } from '../session/index.ts';
import { takenFlash } from './flash.ts';
import type { Render } from './views.ts';
import { wantsJson } from './wants-json.ts';

/**
 * Renders a view inside the shop's frame: who is logged in, the ticket, the number of items. Views
 * see it all as `page`. Without a session (the store is down) the frame shows none.
 */
export async function renderPage(req: Request, res: Response, view: string, content: object) {
  // First, for it is a write. An error's page leaves the sentence to the next.
  const flash = res.statusCode < 400 ? await takenFlash(req) : undefined;
  const { session } = req;
  const render: Render = req.app.locals.render;
  const html = render(view, {
    origin: `${req.protocol}://${req.host}`,
    path: req.path,
    requestId: res.locals.requestId,
    recording: res.locals.recording,
    user: session?.user,
    itemCount: session ? countItems(currentCart(req)) : 0,
    ticket: session && { ...describeSession(req), views: session.views },
    added: session && ['/', '/cart'].includes(req.path) ? addedAtLogIn(req) : 0,
    temporaryPassword: req.account?.passwordExpiresAt !== undefined,
    lost: session && diagnose(req),
    flash,
    ...content,
  });
  // Not res.send: what else it looks at (ETag, charset, freshness) is 5 % of a page's JavaScript.
  res.setHeader('Content-Type', 'text/html; charset=utf-8');
  res.setHeader('Content-Length', Buffer.byteLength(html)).end(html);
}

/** What there is to see: a program reads `json`, a browser gets the page. */
export async function showPage(
  req: Request,
  res: Response,
  view: string,
  content: object,
  json: object,
): Promise<void> {
  if (wantsJson(req)) res.json(json);
  else await renderPage(req, res, view, content);
}

/** The outcome of a form: a program reads it, a browser goes on to the page at `path`. */
export function respond(req: Request, res: Response, path: string, outcome: object): void {
  if (wantsJson(req)) res.json(outcome);
  // Not res.redirect, which weighs Accept once more to write a body that nobody reads.
  else res.status(303).location(path).end();
}
