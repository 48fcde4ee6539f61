import type { Request, RequestHandler, Response } from 'express';
import { leaveFlash, leaveFlashInDraft } from '../http/flash.ts';
import { textField } from '../http/form-fields.ts';
import { type Pages, redirectOrJson } from '../http/pages.ts';
import { invalidField, Refusal } from '../http/refusal.ts';
import type { Audit } from '../observe/audit.ts';
import {
  currentHandle,
  draftOf,
  lastSeen,
  newSessionId,
  renewSession,
  SessionGone,
  type SessionRecord,
  sessionHandle,
  updateSession,
} from '../session/index.ts';
import {
  type Account,
  type Accounts,
  ending,
  isLoggedIn,
  isShut,
  sanitizedUser,
  withoutSessions,
} from './accounts.ts';
import { form } from './form-page.ts';
import { accountOf } from './identify.ts';
import { hashPassword, requireGoodPassword, verifyPassword } from './passwords.ts';

/** For so long after the password was typed, other sessions may be ended without it. */
const FRESH_MS = 10 * 60_000;

type Options = { accounts: Accounts; hashCost: number; audit: Audit; pages: Pages };

/** The account's own page: its devices and its password. For users only: see `requireUser`. */
export function accountPageHandlers({ accounts, hashCost, audit, pages }: Options) {
  const show: RequestHandler = async (req, res) => {
    const account = accountOf(req);
    const own = currentHandle(req);
    const seen = await lastSeen(req, Object.keys(account.sessions));
    const sessions = Object.entries(account.sessions)
      .filter(([handle]) => seen.has(handle))
      .map(([handle, { at, device }]) => ({
        handle,
        device,
        since: new Date(at).toISOString(),
        lastSeen: new Date(seen.get(handle) ?? at).toISOString(),
        current: handle === own,
      }))
      .toSorted(
        (a, b) => Number(b.current) - Number(a.current) || (a.lastSeen < b.lastSeen ? 1 : -1),
      );
    const lastLogIn = account.logIns.findLast(({ at }) => at !== account.sessions[own]?.at);
    const content = { title: 'Your account', sessions, lastLogIn, fresh: isFresh(req) };
    const json = { user: sanitizedUser(account), sessions };
    return pages.show(req, res, 'accounts/account', content, json);
  };

  const changePassword: RequestHandler = async (req, res) => {
    const account = accountOf(req);
    const currentPassword = textField(req.body, 'currentPassword');
    const newPassword = textField(req.body, 'newPassword');
    requireGoodPassword('newPassword', newPassword, account);
    if (newPassword === currentPassword) throw invalidField('newPassword', 'must be another one');
    await requirePassword(req, account, currentPassword);

    const passwordHash = await hashPassword(newPassword, hashCost);
    const id = newSessionId();
    const own = currentHandle(req);
    await changeOwn(req, (current) => {
      // By this session, for others were ended by it: the first of two clicks, whose answer the
      // browser dropped.
      if (current.passwordChanges !== account.passwordChanges)
        throw new Refusal(409, 'Your password was changed a moment ago. Log in with the new one.');
      const passwordChanges = current.passwordChanges + 1;
      const session = current.sessions[own];
      // All other sessions end here.
      const sessions = {
        ...(session && { [sessionHandle(id)]: session }),
        ...ending(current, own),
      };
      return { ...current, passwordHash, passwordChanges, passwordExpiresAt: undefined, sessions };
    });
    audit(req, 'password-changed', { account: account.id });
    const carry = (old: SessionRecord | undefined) => {
      if (!old) throw new SessionGone();
      const draft = { ...draftOf(old), authenticatedAt: Date.now() };
      leaveFlashInDraft(req, draft, 'Your password is changed, and all other sessions are ended.');
      return draft;
    };
    await renewSession(req, carry, { id }).catch((error: unknown) => {
      // Logged out meanwhile: the password is changed all the same.
      if (!(error instanceof SessionGone)) throw error;
    });
    done(req, res);
  };

  /** The password once more, so that other sessions can be ended. */
  const confirm: RequestHandler = async (req, res) => {
    await requireFresh(req);
    done(req, res);
  };

  const endOne: RequestHandler = async (req, res) => {
    const handle = String(req.params.handle);
    await requireFresh(req);
    await changeOwn(req, (current) => {
      // A session of somebody else is no session of this account, and not told from none.
      if (!Object.hasOwn(current.sessions, handle))
        throw new Refusal(404, 'There is no such session.');
      return withoutSessions(current, (each) => each === handle);
    });
    await ended(req, res, 'That session is ended.');
  };

  const endOthers: RequestHandler = async (req, res) => {
    await requireFresh(req);
    const own = currentHandle(req);
    await changeOwn(req, (current) => withoutSessions(current, (handle) => handle !== own));
    await ended(req, res, 'All other sessions are ended.');
  };

  async function ended(req: Request, res: Response, sentence: string): Promise<void> {
    audit(req, 'sessions-ended', { account: accountOf(req).id });
    await leaveFlash(req, sentence);
    done(req, res);
  }

  /** Changes the account for a session that is still logged in when it does. */
  const changeOwn = (req: Request, edit: (current: Account) => Account) =>
    accounts.change(accountOf(req), (current) => {
      if (!isLoggedIn(current, currentHandle(req))) throw new SessionGone();
      return edit(current);
    });

  async function requirePassword(req: Request, account: Account, password: string): Promise<void> {
    const proved = await verifyPassword(password, account.passwordHash);
    if (proved && !isShut(account)) return;
    audit(req, 'log-in-failed', { account: account.id });
    const why = proved ? 'This password is no longer valid.' : 'That is not your password.';
    throw new Refusal(403, `Permission denied! ${why}`);
  }

  async function requireFresh(req: Request): Promise<void> {
    const password = textField(req.body, 'password');
    if (password === '') {
      if (isFresh(req)) return;
      throw invalidField('password', 'is needed again: it was typed more than 10 minutes ago');
    }
    await requirePassword(req, accountOf(req), password);
    await updateSession(req, (draft) => {
      draft.authenticatedAt = Date.now();
    });
  }

  const passwordForm = form(pages, 'password', 'Change the password');
  return {
    show,
    passwordForm,
    changePassword: [changePassword, passwordForm.showAgain],
    confirm,
    endOne,
    endOthers,
  };
}

const isFresh = ({ session }: Request) => Date.now() - (session.authenticatedAt ?? 0) < FRESH_MS;

const done = (req: Request, res: Response) => redirectOrJson(req, res, '/account', {});
