import type { Request, Response } from 'express';
import { cookieReachesBrowser, describeSession } from './session/update-session.ts';

/** Whether the client prefers JSON; a browser and a bare `curl` get the page. */
export const wantsJson = (req: Request) => req.accepts(['html', 'json']) === 'json';

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
    itemCount: session ? Object.values(session.cart).reduce((sum, n) => sum + n, 0) : 0,
    ticket: session && describeSession(req),
    cookieLost: session && !cookieReachesBrowser(req),
    ...content,
  });
}
