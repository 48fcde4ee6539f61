import type { Request, RequestHandler } from 'express';
import type { Carts } from '../cart/account-carts.ts';
import { countItems } from '../cart/cart.ts';
import { adoptGuestCart } from '../cart/current-cart.ts';
import { leaveFlashInDraft } from '../http/flash.ts';
import { checkboxField, textField } from '../http/form-fields.ts';
import { type Pages, redirectOrJson } from '../http/pages.ts';
import { Refusal } from '../http/refusal.ts';
import { returnPath } from '../http/return-path.ts';
import type { Audit } from '../observe/audit.ts';
import {
  currentHandle,
  endSession,
  lastSeen,
  newSession,
  newSessionId,
  renewSession,
  requireDeliverableCookie,
  type SessionRecord,
  sessionHandle,
} from '../session/index.ts';
import {
  type Account,
  type Accounts,
  identityOf,
  isLoggedIn,
  isShut,
  MOST_SESSIONS,
  newAccount,
  sanitizedUser,
  withoutSessions,
  withSession,
} from './accounts.ts';
import { form } from './form-page.ts';
import { hashPassword, requireGoodPassword, upToDate, verifyPassword } from './passwords.ts';
import { deviceOf } from './user-agent.ts';

type Options = {
  accounts: Accounts;
  carts: Carts;
  /** The cost of bcrypt: 12, except in tests. */
  hashCost: number;
  audit: Audit;
  pages: Pages;
};

export function logInHandlers({ accounts, carts, hashCost, audit, pages }: Options) {
  const logInForm = form(pages, 'log-in', 'Log in');
  const registerForm = form(pages, 'register', 'Register');
  const logOutForm = form(pages, 'log-out', 'Log out');

  const logIn: RequestHandler = async (req, res) => {
    requireDeliverableCookie(req);
    const email = textField(req.body, 'email');
    const password = textField(req.body, 'password');
    const next = returnPath(textField(req.body, 'next'));
    const persistent = checkboxField(req.body, 'keep');

    const found = await accounts.find(email);
    // One answer for every cause: whether an account exists is nobody's business.
    const deny = () => {
      audit(req, 'log-in-failed', { account: found?.id });
      return new Refusal(403, 'Permission denied!');
    };
    const proved = await verifyPassword(password, found?.passwordHash);
    if (!found || !proved || isShut(found)) throw deny();

    // The account is asked first and the session made then: so a log-in that is overtaken by a change
    // of the password, or by the account's end, is refused before there is one.
    const id = newSessionId();
    const seen = await lastSeen(req, Object.keys(found.sessions));
    const passwordHash = await upToDate(found.passwordHash, password, hashCost);
    const own = currentHandle(req);
    let full = false;
    const account = await accounts.change(found, (current) => {
      if (isShut(current) || current.passwordChanges !== found.passwordChanges) throw deny();
      const admitted = withSession(current, sessionHandle(id), logInOf(req), seen, own);
      full = Object.keys(current.sessions).some((h) => seen.has(h) && !isLoggedIn(admitted, h));
      return { ...admitted, passwordHash };
    });
    const more = full ? ` Of ${MOST_SESSIONS} others, the session idle longest was ended.` : '';
    const greeting = `Welcome, ${account.name}.${more}`;
    await startUserSession(req, account, 'log-in', greeting, { id, persistent });
    redirectOrJson(req, res, next, { user: sanitizedUser(account) });
  };

  const register: RequestHandler = async (req, res) => {
    requireDeliverableCookie(req);
    const who = identityOf(textField(req.body, 'email'), textField(req.body, 'name'));
    const password = textField(req.body, 'password');
    const next = returnPath(textField(req.body, 'next'));
    requireGoodPassword('password', password, who);

    // Hashed whether or not the address is taken: the answer takes the same time.
    const passwordHash = await hashPassword(password, hashCost);
    const id = newSessionId();
    const made = newAccount({ ...who, passwordHash });
    const account = await accounts.create(withSession(made, sessionHandle(id), logInOf(req)));
    // It may be there by the first of two clicks, whose answer a browser drops.
    if (!account)
      throw new Refusal(
        409,
        'No new account was made. If you have one already, or pressed the button twice, log in instead.',
      );
    const greeting = `Welcome, ${who.name}. Your account is made.`;
    await startUserSession(req, account, 'registered', greeting, { id });
    redirectOrJson(req, res.status(201), next, { user: sanitizedUser(account) });
  };

  const logOut: RequestHandler = async (req, res) => {
    const { account } = req;
    try {
      await endSession(req, res);
      audit(req, 'log-out', { account: account?.id });
    } catch (cause) {
      // Not the 503 of other routes: whoever reads only the status must not take it for a log-out.
      throw Object.assign(new Refusal(500, 'Could not log out.'), { cause });
    }
    // There is no such session any more. If the account cannot forget it now, it does at a log-in.
    const own = currentHandle(req);
    const forget = (current: Account) => withoutSessions(current, (handle) => handle === own);
    if (account) await accounts.change(account, forget).catch(() => {});
    redirectOrJson(req, res, '/', {});
  };

  /**
   * What survives log-in: the cart, which goes to the account, and the views, under a new id (session
   * fixation). Nothing survives from another user's session.
   */
  async function startUserSession(
    req: Request,
    account: Account,
    event: 'log-in' | 'registered',
    greeting: string,
    { id, persistent = false }: { id: string; persistent?: boolean },
  ): Promise<void> {
    const user = sanitizedUser(account);
    const guest = currentHandle(req);
    const seen = req.session.user ? undefined : req.session;
    const carry = (stored: SessionRecord | undefined) => {
      // The second click on "Log in" finds the guest's session ended by the first. What it saw of it
      // comes along all the same; what a user left who logged out meanwhile does not.
      const old = stored ?? seen;
      const theirs = old && (!old.user || old.user.id === user.id);
      const { views, cart } = theirs ? old : newSession();
      const carried = countItems(cart) > 0 && { guest };
      const draft = { user, authenticatedAt: Date.now(), views, cart, ...carried };
      leaveFlashInDraft(req, draft, greeting);
      return draft;
    };
    await renewSession(req, carry, { id, persistent });
    audit(req, event, { account: account.id });
    req.account = account;
    req.accountCart = { accountId: account.id, cart: await carts.read(account.id) };
    await adoptGuestCart(req, carts);
  }

  return {
    logInForm,
    logIn: [logIn, logInForm.showAgain],
    registerForm,
    register: [register, registerForm.showAgain],
    logOutForm,
    logOut,
  };
}

const logInOf = (req: Request) => ({
  at: Date.now(),
  device: deviceOf(req),
  address: req.ip ?? 'unknown',
});
