import type { RequestHandler } from 'express';
import type { AccountCart, Carts } from '../cart/account-carts.ts';
import { adoptGuestCart } from '../cart/current-cart.ts';
import { Refusal } from '../http/refusal.ts';
import { returnPath } from '../http/return-path.ts';
import { wantsJson } from '../http/wants-json.ts';
import { emptySession } from '../session/record.ts';
import { renewSession } from '../session/request-session.ts';
import { sessionHandle } from '../session/session-id.ts';
import { type Account, type Accounts, isLoggedIn } from './accounts.ts';

declare module 'express-serve-static-core' {
  interface Request {
    /** Of the user who is logged in, as this request knows it. */
    account?: Account;
    accountCart?: AccountCart;
  }
}

/** Where a password that the operator made lets its owner go. */
const OPEN = ['/account/password', '/logout', '/login'];

/**
 * Asks the account, at each request of a logged-in session, whether it still is: whoever ends a
 * session, changes the password or disables the account does it there, in one write, and it holds
 * from the next request on. A session that is not logged in any more is replaced by an empty one.
 */
export const identify =
  ({ accounts, carts }: { accounts: Accounts; carts: Carts }): RequestHandler =>
  async (req, res, next) => {
    const { user } = req.session;
    if (!user) return next();
    const [account, accountCart] = await Promise.all([
      accounts.find(user.email),
      carts.read(user.id),
    ]);
    if (account?.id !== user.id || !isLoggedIn(account, sessionHandle(req.sessionID))) {
      const flash =
        'You were logged out here: this session was ended, or the password changed, somewhere else.';
      // Whatever asked: it may be the page's own look, after which the page is loaded again.
      await renewSession(req, () => ({ ...emptySession(), flash }), { persistent: false });
      return next();
    }
    req.account = account;
    req.accountCart = accountCart;
    await adoptGuestCart(req, carts);
    if (account.passwordExpiresAt === undefined || OPEN.includes(req.path)) return next();
    if (!wantsJson(req)) return res.redirect(303, '/account/password');
    throw new Refusal(403, 'Choose a password of your own first: POST /account/password.');
  };

/** Lets only users through; a guest's browser is sent to log in, and comes back to where it was. */
export const requireUser: RequestHandler = (req, res, next) => {
  if (req.account) return next();
  if (wantsJson(req)) throw new Refusal(401, 'Please log in first.');
  const from = req.method === 'GET' ? req.originalUrl : pageOf(req.get('Referer'));
  res.redirect(303, `/login?next=${encodeURIComponent(returnPath(from))}`);
};

/** Behind `requireUser` there is one. */
export const accountOf = (req: { account?: Account }) => req.account as Account;

/** The page that a form was on. Browsers send it to this origin only, and no other is returned to. */
const pageOf = (referer = '') => {
  const url = URL.parse(referer);
  return url && url.pathname + url.search;
};
