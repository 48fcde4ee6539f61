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
  findSessions,
  newSession,
  requireDeliverableCookie,
  type SessionDraft,
  type SessionRecord,
} from '../session/index.ts';
import {
  type Account,
  type Accounts,
  canLogIn,
  checkedIdentity,
  newAccount,
  sanitizedUser,
} from './accounts.ts';
import { browserName } from './browser-name.ts';
import { clientOf, requireClient } from './client.ts';
import { formPage } from './form-page.ts';
import {
  isLoggedIn,
  MAX_SESSIONS,
  renewLoggedIn,
  withoutSessions,
  withSession,
} from './logged-in-sessions.ts';
import { hashPassword, requireGoodPassword, upToDateHash, verifyPassword } from './passwords.ts';

const LIMIT_NOTICE = ` An account has at most ${MAX_SESSIONS} sessions, so the session that had been idle longest was ended.`;

type Options = { accounts: Accounts; carts: Carts; hashCost: number; audit: Audit; pages: Pages };
type Admission = { account: Account; greeting: string };

export function logInHandlers({ accounts, carts, hashCost, audit, pages }: Options) {
  const logInForm = formPage(pages, 'log-in', 'Log in');
  const registerForm = formPage(pages, 'register', 'Register');
  const logOutForm = formPage(pages, 'log-out', 'Log out');

  const logIn: RequestHandler = async (req, res) => {
    requireDeliverableCookie(req);
    const email = textField(req.body, 'email');
    const password = textField(req.body, 'password');
    const next = returnPath(req.body?.next);
    const persistent = checkboxField(req.body, 'keep');

    const client = clientOf(req, email);
    const known = await accounts.find(email);
    const proved = await verifyPassword(password, known?.passwordHash, client);
    if (!known || !proved || !canLogIn(known)) throw denied(req, known);
    const passwordHash = await upToDateHash(known.passwordHash, password, hashCost, client);
    const admit = (handle: string) => admitTo(known, req, handle, passwordHash);
    const account = await startUserSession(req, 'log-in', admit, persistent);
    redirectOrJson(req, res, next, () => ({ user: sanitizedUser(account) }));
  };

  /** The same response for every cause, so that it does not reveal whether the account exists. */
  function denied(req: Request, known: Account | undefined): Refusal {
    audit(req, 'log-in-failed', { account: known?.id });
    return new Refusal(403, 'Permission denied!');
  }

  async function admitTo(known: Account, req: Request, handle: string, passwordHash: string) {
    const stored = await findSessions(req, Object.keys(known.sessions));
    let notice = '';
    const account = await accounts.change(known, (current) => {
      if (!canLogIn(current) || current.passwordChanges !== known.passwordChanges)
        throw denied(req, known);
      const admitted = withSession(current, handle, logInOf(req), stored, currentHandle(req));
      const ends = (each: string) => stored.has(each) && !isLoggedIn(admitted, each);
      notice = Object.keys(current.sessions).some(ends) ? LIMIT_NOTICE : '';
      return { ...admitted, passwordHash };
    });
    return { account, greeting: `Welcome, ${account.name}.${notice}` };
  }

  const register: RequestHandler = async (req, res) => {
    requireDeliverableCookie(req);
    const identity = checkedIdentity(textField(req.body, 'email'), textField(req.body, 'name'));
    const password = textField(req.body, 'password');
    const next = returnPath(req.body?.next);
    requireGoodPassword('password', password, identity);

    // Hashed even when the address is taken, so that the response takes the same time.
    const passwordHash = await hashPassword(password, hashCost, clientOf(req, identity.email));
    const admit = async (handle: string) => {
      const added = withSession(newAccount({ ...identity, passwordHash }), handle, logInOf(req));
      const account = await accounts.create(added);
      if (!account)
        throw new Refusal(409, "We couldn't create that account. Already registered? Log in.");
      return { account, greeting: `Welcome, ${account.name}. Your account is ready.` };
    };
    const account = await startUserSession(req, 'registered', admit);
    redirectOrJson(req, res.status(201), next, () => ({ user: sanitizedUser(account) }));
  };

  const logOut: RequestHandler = async (req, res) => {
    const { account } = req;
    try {
      await endSession(req, res);
      audit(req, 'log-out', { account: account?.id });
    } catch (cause) {
      // Not 503, as on other routes: that might look as if the log-out were only delayed.
      throw Object.assign(new Refusal(500, 'Could not log out.'), { cause });
    }
    // The session is gone. If the account cannot drop it now, the next log-in does.
    const own = currentHandle(req);
    const drop = (current: Account) => withoutSessions(current, (handle) => handle === own);
    if (account) await accounts.change(account, drop).catch(() => {});
    // Browsers heed it over HTTPS only. Not "cookies", which would clear those of other hosts of this
    // domain, nor "cache", which Chromium clears slowly and which holds no page of the shop.
    if (req.secure) res.set('Clear-Site-Data', '"storage"');
    redirectOrJson(req, res, '/');
  };

  async function startUserSession(
    req: Request,
    event: 'log-in' | 'registered',
    admit: (handle: string) => Promise<Admission>,
    persistent = false,
  ): Promise<Account> {
    const carry = (old: SessionRecord | undefined, { account, greeting }: Admission) => {
      const draft = survivingLogIn(req, old, account);
      leaveFlashInDraft(req, draft, greeting);
      return draft;
    };
    requireClient(req);
    const { account } = await renewLoggedIn(req, admit, carry, { persistent });
    endUnlessDelivered(req, account);
    audit(req, event, { account: account.id });
    req.account = account;
    req.accountCart = { accountId: account.id, cart: await carts.read(account.id) };
    await adoptGuestCart(req, carts);
    return account;
  }

  /** A session whose cookie never reached the browser would push out one that somebody uses. */
  function endUnlessDelivered(req: Request, account: Account): void {
    const handle = currentHandle(req);
    const end = async () => {
      if (req.res?.writableFinished) return;
      req.sessionStore.destroy(req.sessionID);
      await accounts.change(account, (now) => withoutSessions(now, (each) => each === handle));
    };
    req.res?.once('close', () => void end().catch(() => {}));
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

/**
 * What survives log-in: the views, and the guest's cart, which then moves to the account. The id does
 * not: it may be one that an attacker planted (session fixation). Nothing survives from another user.
 */
function survivingLogIn(req: Request, old: SessionRecord | undefined, account: Account) {
  // A double click: the first request ended the guest's session, and this one still has a copy.
  const before = old ?? (req.session.user ? undefined : req.session);
  const isOwn = before && (!before.user || before.user.id === account.id);
  const { views, cart = {} }: SessionDraft = isOwn ? before : newSession();
  const user = sanitizedUser(account);
  const draft: SessionDraft = { user, authenticatedAt: Date.now(), views };
  if (countItems(cart) > 0) Object.assign(draft, { cart, guest: currentHandle(req) });
  return draft;
}

const logInOf = (req: Request) => ({
  at: Date.now(),
  device: browserName(req.get('User-Agent')),
  address: req.ip ?? 'unknown',
});
