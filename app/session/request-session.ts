import type { Request, Response } from 'express';
import { CookieUndeliverable, SessionGone } from './errors.ts';
import { SessionStore } from './express-store.ts';
import { MOVED, type Renewal } from './lifecycle.ts';
import type { SessionDraft, SessionRecord } from './record.ts';
import { sessionHandle } from './session-id.ts';

/**
 * The one way to change a session. When it returns, the change is stored; only then answer.
 *
 *     await updateSession(req, (draft) => { draft.views += 1; });
 *     res.redirect(303, '/');
 *
 * @param change edits the draft in place, without waiting for anything; it runs again on a newer
 *   session when another request was faster, so it must depend on the draft alone
 * @returns what `change` returned the last time
 * @throws SessionGone, SessionBusy, StoreUnavailable, CookieUndeliverable, or what `change` throws;
 *   in each case `req.session` is as before
 */
export async function updateSession<T>(
  req: Request,
  change: (draft: SessionDraft) => T,
): Promise<T> {
  const store = storeOf(req);
  refuseUndeliverable(req);
  let result!: T; // `change` runs at least once
  const record = await store.sessions.update(req.sessionID, req.session, (draft) => {
    result = change(draft);
  });
  store.show(req, record);
  return result;
}

/**
 * Gives the session a new id and a new beginning, at log-in and whenever its rights change. The old
 * id is worth nothing afterwards.
 * @param carry what survives: the data of the new session, made from the old one, or from undefined
 *   when that has ended meanwhile. It may run again, as a change does.
 * @throws StoreUnavailable, CookieUndeliverable, or what `carry` throws
 */
export async function renewSession(
  req: Request,
  carry: (old: SessionRecord | undefined) => SessionDraft,
  renewal?: Renewal,
): Promise<void> {
  const store = storeOf(req);
  refuseUndeliverable(req);
  const renewed = await store.sessions.renew(req.sessionID, req.session, carry, renewal);
  req.sessionID = renewed.id;
  store.show(req, renewed.record, store.maxAgeOf(renewed.record));
  if (renewed.failure) throw renewed.failure;
}

/**
 * Destroys the session and takes the cookie back. Requests still under way cannot revive it, and
 * this one has no `req.session` afterwards.
 * @throws StoreUnavailable: the session may still be there; SessionGone: it has another id by now
 */
export async function endSession(req: Request, res: Response): Promise<void> {
  const store = storeOf(req);
  if (req.session.version === MOVED) throw new SessionGone();
  await store.sessions.end(req.sessionID, req.session);
  Reflect.deleteProperty(req, 'session'); // as express-session does: there is none any more
  res.clearCookie(store.cookie.name, store.cookie.attributes);
}

/** What a page may say of a session: the ticket. The id itself never leaves the cookie. */
export function describeSession(req: Request) {
  const { now, expiresAt } = storeOf(req).sessions;
  const { version, createdAt } = req.session;
  const time = now();
  const msLeft = expiresAt({ lastSeenAt: time, createdAt }) - time;
  return {
    stored: version > 0,
    number: sessionHandle(req.sessionID).slice(0, 4),
    expiresInSeconds: Math.floor(msLeft / 1000),
  };
}

/**
 * When sessions were last used, by their handles, in milliseconds since 1970. Those that are over
 * are left out.
 */
export const lastSeen = async (req: Request, handles: string[]) =>
  storeOf(req).sessions.lastSeen(handles);

/** Whether the browser will get the session cookie with the answer to this request. */
export const cookieReachesBrowser = (req: Request) =>
  req.secure || !storeOf(req).cookie.attributes.secure;

/** Whether `updateSession` can store anything for this request. A page may do without it. */
export const canUpdateSession = (req: Request) =>
  cookieReachesBrowser(req) && req.session.version !== MOVED;

/** Without a cookie, whatever is stored now could never be found again. */
export function refuseUndeliverable(req: Request): void {
  if (req.res?.headersSent) throw new Error('Change the session before the answer begins');
  if (!cookieReachesBrowser(req)) throw new CookieUndeliverable();
}

function storeOf(req: Request): SessionStore {
  if (!(req.sessionStore instanceof SessionStore))
    throw new Error('sessionMiddleware must come before this route');
  if (!req.session) throw new SessionGone();
  return req.sessionStore;
}
