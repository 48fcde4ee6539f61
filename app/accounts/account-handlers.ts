import type { ErrorRequestHandler, Request, RequestHandler } from 'express';
import type { Audit } from '../audit.ts';
import { Refusal } from '../errors.ts';
import { textField } from '../fields.ts';
import { leaveFlash } from '../flash.ts';
import { renderPage, wantsJson } from '../respond.ts';
import { endSession, refuseUndeliverable, renewSession } from '../session/session.ts';
import { emptySession, type SessionUser } from '../session/session-data.ts';
import { type Accounts, sanitizedUser } from './accounts.ts';
import { verifyPassword } from './passwords.ts';
import { returnPath } from './return-path.ts';

type Options = {
  accounts: Accounts;
  demoLogins: readonly { email: string; password: string }[];
  audit: Audit;
};

export function accountHandlers({ accounts, demoLogins, audit }: Options) {
  const showLogIn: RequestHandler = (req, res) => {
    if (wantsJson(req)) return res.json({ user: req.session.user ?? null });
    const next = returnPath(req.query.next);
    renderPage(req, res, 'accounts/log-in', { title: 'Log in', demoLogins, next });
  };

  const logIn: RequestHandler = async (req, res) => {
    refuseUndeliverable(req);
    const email = textField(req.body, 'email');
    const password = textField(req.body, 'password');
    const next = returnPath(textField(req.body, 'next'));

    const account = await accounts.findByEmail(email);
    const proved = await verifyPassword(password, account?.passwordHash);
    if (!account || !proved) {
      // One answer for every cause: whether an account exists is nobody's business.
      audit(req, 'log-in-failed', { account: account?.id });
      throw new Refusal(403, 'Permission denied!');
    }

    const user = sanitizedUser(account);
    await startUserSession(req, user);
    audit(req, 'log-in', { account: user.id });
    if (wantsJson(req)) return res.json({ user });
    res.redirect(303, next);
  };

  /** A log-in that was refused, for whatever reason, leaves the form as it was, less the password. */
  const keepForm: ErrorRequestHandler = (error: unknown, req, res, next) => {
    const { next: wanted, email } = req.body ?? {};
    const content = {
      title: 'Log in',
      demoLogins,
      next: returnPath(wanted),
      email: typeof email === 'string' ? email : '',
    };
    res.locals.errorPage = { view: 'accounts/log-in', content };
    next(error);
  };

  const showLogOut: RequestHandler = (req, res) => {
    if (wantsJson(req)) return res.json({ user: req.session.user ?? null });
    renderPage(req, res, 'accounts/log-out', { title: 'Log out' });
  };

  const logOut: RequestHandler = async (req, res) => {
    const account = req.session.user?.id;
    try {
      await endSession(req, res);
      audit(req, 'log-out', { account });
    } catch (cause) {
      // Not the 503 of other routes: whoever reads only the status must not take it for a log-out.
      throw new Refusal(500, 'Could not log out.', {}, { cause });
    }
    if (wantsJson(req)) return res.json({});
    res.redirect(303, '/');
  };

  return { showLogIn, logIn, keepForm, showLogOut, logOut };
}

/**
 * What survives log-in: the cart and the views, under a new id (session fixation). Nothing survives
 * from another user's session, whose cart is nobody else's.
 */
function startUserSession(req: Request, user: SessionUser): Promise<void> {
  // The second click on "Log in" finds the guest's session ended by the first. Its cart, as this
  // request saw it, comes along all the same; that of a user who logged out meanwhile does not.
  const guest = req.session.user ? undefined : req.session;
  return renewSession(req, (old = guest) => {
    const theirs = old && (!old.user || old.user.id === user.id);
    const { views, cart } = theirs ? old : emptySession();
    const draft = { user, authenticatedAt: Date.now(), views, cart };
    leaveFlash(req, draft, `Welcome, ${user.name}.`);
    return draft;
  });
}
