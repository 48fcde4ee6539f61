import type { Request, RequestHandler, Response } from 'express';
import { leaveFlash, leaveFlashInDraft } from '../http/flash.ts';
import { textField } from '../http/form-fields.ts';
import { type Pages, redirectOrJson } from '../http/pages.ts';
import { invalidField, Refusal } from '../http/refusal.ts';
import type { Audit } from '../observe/audit.ts';
import {
  currentHandle,
  draftOf,
  findSessions,
  SessionGone,
  type SessionRecord,
  updateSession,
} from '../session/index.ts';
import { type Account, type Accounts, canLogIn, type Edit, sanitizedUser } from './accounts.ts';
import { clientOf } from './client.ts';
import { formPage } from './form-page.ts';
import { accountOf } from './identify.ts';
import {
  isLoggedIn,
  renewLoggedIn,
  withOnlySession,
  withoutSessions,
} from './logged-in-sessions.ts';
import { hashPassword, requireGoodPassword, verifyPassword } from './passwords.ts';

/** For this long after the password was entered, ending sessions does not ask for it again. */
const FRESH_MS = 10 * 60_000;
const CHANGED_BEFORE = 'Your password was changed a moment ago. Log in with the new password.';

type Options = { accounts: Accounts; hashCost: number; audit: Audit; pages: Pages };

export function accountPageHandlers({ accounts, hashCost, audit, pages }: Options) {
  const passwordForm = formPage(pages, 'password', 'Change password');

  const show: RequestHandler = async (req, res) => {
    const account = accountOf(req);
    const handle = currentHandle(req);
    const found = await findSessions(req, Object.keys(account.sessions));
    const sessions = listSessions(account, found, handle);
    const lastLogIn = account.logIns.findLast(({ at }) => at !== account.sessions[handle]?.at);
    const content = { title: 'Your account', sessions, lastLogIn, fresh: isFresh(req) };
    const json = { user: sanitizedUser(account), sessions };
    return pages.show(req, res, 'accounts/account', content, json);
  };

  const changePassword: RequestHandler = async (req, res) => {
    const currentPassword = textField(req.body, 'currentPassword');
    const newPassword = textField(req.body, 'newPassword');
    requireGoodPassword('newPassword', newPassword, accountOf(req));
    if (newPassword.normalize() === currentPassword.normalize())
      throw invalidField('newPassword', 'must differ from the current password');
    await requirePassword(req, currentPassword);

    const passwordHash = await hashPassword(
      newPassword,
      hashCost,
      clientOf(req, accountOf(req).email),
    );
    const admit = (handle: string) => storePassword(req, passwordHash, handle);
    await renewLoggedIn(req, admit, (old) => afterNewPassword(req, old), { device: 'keep' });
    backToAccount(req, res);
  };

  async function storePassword(req: Request, passwordHash: string, handle: string): Promise<void> {
    const passwordChanges = accountOf(req).passwordChanges + 1;
    await changeOwnAccount(req, 'password-changed', (current) => {
      // This session is still logged in, so it made that change itself: a double click.
      if (current.passwordChanges >= passwordChanges) throw new Refusal(409, CHANGED_BEFORE);
      const account = withOnlySession(current, currentHandle(req), handle);
      return { ...account, passwordHash, passwordChanges, passwordExpiresAt: undefined };
    });
  }

  const confirm: RequestHandler = async (req, res) => {
    await requireFreshPassword(req);
    backToAccount(req, res);
  };

  const endOne: RequestHandler = (req, res) => {
    const handle = String(req.params.handle);
    return endSessions(req, res, 'Session ended.', (current) => {
      // One response, whether or not it is another account's session.
      if (!Object.hasOwn(current.sessions, handle))
        throw new Refusal(404, 'This session does not exist or has already ended.');
      return withoutSessions(current, (each) => each === handle);
    });
  };

  const endOthers: RequestHandler = (req, res) => {
    const own = currentHandle(req);
    return endSessions(req, res, 'All other sessions ended.', (current) =>
      withoutSessions(current, (each) => each !== own),
    );
  };

  async function endSessions(req: Request, res: Response, flash: string, edit: Edit) {
    await requireFreshPassword(req);
    await changeOwnAccount(req, 'sessions-ended', edit);
    await leaveFlash(req, flash);
    backToAccount(req, res);
  }

  async function changeOwnAccount(req: Request, event: Parameters<Audit>[1], edit: Edit) {
    const { id } = await accounts.change(accountOf(req), (current) => {
      if (!isLoggedIn(current, currentHandle(req))) throw new SessionGone();
      return edit(current);
    });
    audit(req, event, { account: id });
  }

  async function requireFreshPassword(req: Request): Promise<void> {
    const password = textField(req.body, 'password');
    if (password === '') {
      if (isFresh(req)) return;
      throw invalidField('password', 'is required: you last entered it more than 10 min ago');
    }
    await requirePassword(req, password);
    await updateSession(req, (draft) => {
      draft.authenticatedAt = Date.now();
    });
  }

  async function requirePassword(req: Request, password: string): Promise<void> {
    const account = accountOf(req);
    const proved = await verifyPassword(
      password,
      account.passwordHash,
      clientOf(req, account.email),
    );
    if (proved && canLogIn(account)) return;
    audit(req, 'log-in-failed', { account: account.id });
    throw new Refusal(403, proved ? 'This password no longer works.' : 'Wrong password.');
  }

  return {
    show,
    passwordForm,
    changePassword: [changePassword, passwordForm.showAgain],
    confirm,
    endOne,
    endOthers,
  };
}

function listSessions(
  { sessions }: Account,
  found: Awaited<ReturnType<typeof findSessions>>,
  own: string,
) {
  return Object.entries(sessions)
    .flatMap(([handle, { at, device }]) => {
      const { lastSeenAt, algorithm } = found.get(handle) ?? {};
      if (lastSeenAt === undefined) return [];
      const since = new Date(at).toISOString();
      const lastSeen = new Date(lastSeenAt).toISOString();
      const bound = algorithm !== undefined;
      return { handle, device, since, lastSeen, bound, current: handle === own };
    })
    .toSorted(
      (a, b) => Number(b.current) - Number(a.current) || b.lastSeen.localeCompare(a.lastSeen),
    );
}

function afterNewPassword(req: Request, old: SessionRecord | undefined) {
  if (!old) throw new SessionGone();
  const draft = { ...draftOf(old), authenticatedAt: Date.now() };
  leaveFlashInDraft(req, draft, 'Password changed. All your other sessions have ended.');
  return draft;
}

const isFresh = ({ session }: Request) => Date.now() - (session.authenticatedAt ?? 0) < FRESH_MS;

const backToAccount = (req: Request, res: Response) => redirectOrJson(req, res, '/account');
