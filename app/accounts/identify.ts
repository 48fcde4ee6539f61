import type { RequestHandler } from 'express';
import type { Carts } from '../cart/account-carts.ts';
import { adoptGuestCart } from '../cart/current-cart.ts';
import { Refusal } from '../http/refusal.ts';
import { returnPath } from '../http/return-path.ts';
import { currentHandle, newSession, renewSession } from '../session/index.ts';
import { type Account, type Accounts, isLoggedIn } from './accounts.ts';

declare module 'express-serve-static-core' {
  interface Request {
    /** The account that is logged in, as this request knows it. */
    account?: Account;
  }
}

/**
 * Asks the account, at each request of a logged-in session, whether it is still logged in. Ending a
 * session, changing the password and disabling the account are each one write to the account, and take
 * effect at the next request. An empty session replaces one that is no longer logged in.
 */
export const identify =
  ({ accounts, carts }: { accounts: Accounts; carts: Carts }): RequestHandler =>
  async (req, _res, next) => {
    const { user } = req.session;
    if (!user) return next();
    const [account, cart] = await Promise.all([accounts.find(user.email), carts.read(user.id)]);
    if (account?.id !== user.id || !isLoggedIn(account, currentHandle(req))) {
      const flash =
        'You were logged out here: this session was ended, or the password changed, somewhere else.';
      // For programs, too: it may be the page's own script that asks, and then loads the page again.
      await renewSession(req, () => ({ ...newSession(), flash }), { persistent: false });
      return next();
    }
    req.account = account;
    req.accountCart = { accountId: account.id, cart };
    await adoptGuestCart(req, carts);
    next();
  };

/** Lets users with a temporary password, which the operator made, do nothing before they change it. */
export const requireOwnPassword: RequestHandler = (req, res, next) => {
  if (req.account?.passwordExpiresAt === undefined) return next();
  if (!req.wantsJson) return res.redirect(303, '/account/password');
  throw new Refusal(403, 'Choose a password of your own first: POST /account/password.');
};

/** Lets only users through. A guest's browser is sent to log in, and comes back to where it was. */
export const requireUser: RequestHandler = (req, res, next) => {
  if (req.account) return next();
  if (req.wantsJson) throw new Refusal(401, 'Please log in first.');
  const from = req.method === 'GET' ? req.originalUrl : pageOf(req.get('Referer'));
  res.redirect(303, `/login?next=${encodeURIComponent(returnPath(from))}`);
};

/** Behind `requireUser` there is one. */
export const accountOf = (req: { account?: Account }) => req.account as Account;

/** The page that a form was on. Browsers send its address to this origin only. */
const pageOf = (referer = '') => {
  const url = URL.parse(referer);
  return url && url.pathname + url.search;
};
