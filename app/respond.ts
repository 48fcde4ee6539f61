import type { Request, Response } from 'express';
import { countItems } from './cart/cart.ts';
import { currentCart } from './cart/current-cart.ts';
import { diagnose } from './inspector/proxy-doctor.ts';
import { describeSession } from './session/session.ts';

/**
 * Renders a view inside the shop's frame: who is logged in, the ticket, the number of items. Views
 * see it all as `page`. Without a session (the store is down) the frame shows none.
 */
export function renderPage(req: Request, res: Response, view: string, content: object): void {
  const { session } = req;
  res.render(view, {
    origin: `${req.protocol}://${req.host}`,
    path: req.path,
    requestId: res.locals.requestId,
    user: session?.user,
    itemCount: session ? countItems(currentCart(req)) : 0,
    ticket: session && { ...describeSession(req), views: session.views },
    merged: session?.merged,
    temporaryPassword: req.account?.passwordExpiresAt !== undefined,
    lost: session && diagnose(req),
    ...content,
  });
}
