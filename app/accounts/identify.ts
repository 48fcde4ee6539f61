import type { RequestHandler } from 'express';
import type { Carts } from '../cart/account-carts.ts';
import { adoptGuestCart } from '../cart/current-cart.ts';
import { isPrefetch } from '../http/prefetch.ts';
import { Refusal } from '../http/refusal.ts';
import { returnPath } from '../http/return-path.ts';
import { currentHandle, newSession, renewSession } from '../session/index.ts';
import type { Account, Accounts } from './accounts.ts';
import { isLoggedIn } from './logged-in-sessions.ts';

declare module 'express-serve-static-core' {
  interface Request {
    account?: Account;
  }
}

/** Each request reads the account, so one write to the account ends a session at its next request. */
export const identify =
  ({ accounts, carts }: { accounts: Accounts; carts: Carts }): RequestHandler =>
  async (req, _res, next) => {
    const { user } = req.session;
    if (!user) return next();
    const [account, cart] = await Promise.all([accounts.find(user.email), carts.read(user.id)]);
    if (account?.id !== user.id || !isLoggedIn(account, currentHandle(req))) {
      // The browser drops this response, and asks again when the visitor comes.
      if (isPrefetch(req)) throw new Refusal(409, 'Your session has ended.');
      const flash =
        'You were logged out here: your session was ended or your password was changed elsewhere.';
      // The flash is set even if the response is JSON: a script of an open page may have asked, and it then
      // reloads the page.
      await renewSession(req, () => ({ ...newSession(), flash }), {
        persistent: false,
        device: 'none',
      });
      return next();
    }
    req.account = account;
    req.accountCart = { accountId: account.id, cart };
    await adoptGuestCart(req, carts);
    next();
  };

export const requireOwnPassword: RequestHandler = (req, res, next) => {
  if (req.account?.passwordExpiresAt === undefined) return next();
  if (!req.wantsJson) return res.redirect(303, '/account/password');
  throw new Refusal(403, 'Your password is temporary. Change it first: POST /account/password.');
};

export const requireUser: RequestHandler = (req, res, next) => {
  if (req.account) return next();
  if (req.wantsJson) throw new Refusal(401, 'Please log in first.');
  // The page with the form. Browsers send its whole address to this origin only.
  const referer = URL.parse(req.get('Referer') ?? '');
  const from =
    req.method === 'GET' ? req.originalUrl : referer && referer.pathname + referer.search;
  res.redirect(303, `/login?next=${encodeURIComponent(returnPath(from))}`);
};

/** For routes behind `requireUser`. */
export const accountOf = (req: { account?: Account }) => req.account as Account;
