import type { Request, Response } from 'express';
import { countItems } from './cart/cart.ts';
import { currentCart } from './cart/current-cart.ts';
import { diagnose } from './inspector/proxy-doctor.ts';
import { describeSession } from './session/session.ts';

/**
 * Whether to answer with JSON: to whoever asks for it, and to whoever sends it without asking for a page. A
 * browser and a bare `curl` get the page.
 */
export function wantsJson(req: Request): boolean {
  if (req.accepts(['html', 'json']) === 'json') return true;
  return Boolean(req.is('json')) && !req.get('Accept')?.includes('text/html');
}

/**
 * Renders a view inside the shop's frame: who is logged in, the ticket, the number of items. Views
 * see it all as `page`. Without a session (the store is down) the frame shows none.
 */
export function renderPage(req: Request, res: Response, view: string, content: object): void {
  const { session } = req;
  res.render(view, {
    path: req.path,
    requestId: res.locals.requestId,
    user: session?.user,
    itemCount: session ? countItems(currentCart(req)) : 0,
    ticket: session && { ...describeSession(req), views: session.views },
    merged: session?.merged,
    lost: session && diagnose(req),
    ...content,
  });
}
