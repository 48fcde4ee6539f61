import type { Request, Response } from 'express';
import { algorithmOf } from './device-proof.ts';
import { CookieUndeliverable, SessionGone } from './errors.ts';
import { ExpressSessionStore } from './express-session-store.ts';
import type { Renewal } from './lifecycle.ts';
import {
  hasMoved,
  isStored,
  type SessionDraft,
  type SessionRecord,
  type SessionStart,
} from './record.ts';
import { newSessionId, sessionHandle } from './session-id.ts';

/**
 * Changes the fields of a session. It returns once the change is stored. Respond only after that.
 *
 *     await updateSession(req, (draft) => { draft.views += 1; });
 *     res.redirect(303, '/');
 *
 * @param change edits the draft in place, synchronously. It runs again on a newer session when
 *   another request was faster, so it must depend on the draft alone.
 * @returns what the last run of `change` returned
 * @throws SessionGone, TooManyConflicts, StoreUnavailable, CookieUndeliverable, or whatever
 *   `change` throws; `req.session` then stays as it was
 */
export async function updateSession<T>(
  req: Request,
  change: (draft: SessionDraft) => T extends PromiseLike<unknown> ? never : T,
): Promise<T> {
  const store = storeOf(req);
  requireDeliverableCookie(req);
  if (store.device?.unproved.delete(req)) {
    // A browser that has lost its key is at the log-in page. What that page stores goes into a new session.
    req.sessionID = newSessionId();
    store.attach(req, store.lifecycle.fresh());
  }
  let result!: T; // `change` runs at least once
  const id = req.sessionID;
  const record = await store.lifecycle.update(id, req.session.toJSON(), (draft) => {
    result = requireSync(change(draft), 'updateSession');
    return result;
  });
  // Meanwhile, another call of this request may have changed the session, given it a new id or ended it.
  const isNewest = req.sessionID === id && req.session && req.session.version < record.version;
  if (isNewest) store.attach(req, record);
  return result;
}

/**
 * Gives the session a new id, at log-in and whenever its rights change. The old id stops working,
 * so an id that was planted before log-in is useless after it (session fixation).
 * @param carry makes the new session from the old one, or from undefined if the old one has ended
 *   in the meantime. Only what it returns survives, and other fields get their defaults. Like
 *   `change`, it is synchronous and may run again.
 * @throws StoreUnavailable, TooManyConflicts, CookieUndeliverable, or whatever `carry` throws
 */
export async function renewSession(
  req: Request,
  carry: (old: SessionRecord | undefined) => SessionStart,
  renewal?: Renewal,
): Promise<void> {
  const store = storeOf(req);
  requireDeliverableCookie(req);
  const oldId = req.sessionID;
  const start: typeof carry = (old) => requireSync(carry(old), 'renewSession');
  const renewed = await store.lifecycle.renew(oldId, req.session.toJSON(), start, renewal);
  req.sessionID = renewed.id;
  store.attach(req, renewed.record, store.maxAgeOf(renewed.record));
  if (renewal?.device !== 'none' && !renewed.record.boundTo) store.device?.offer(req);
  // The browser has lost its key, and has logged in again.
  if (store.device?.unproved.delete(req)) await store.lifecycle.abandon(oldId).catch(() => {});
  await store.forgetOldCookie(req).catch(() => {});
  if (renewed.failure) throw renewed.failure;
}

/**
 * Destroys the session and deletes the cookie. Requests still under way cannot revive it. This request
 * has no `req.session` afterwards.
 * @throws StoreUnavailable: the session may still exist; SessionGone: it lives on under a new id
 */
export async function endSession(req: Request, res: Response): Promise<void> {
  const store = storeOf(req);
  const unproved = store.device?.unproved.has(req);
  if (hasMoved(req.session) && !unproved) throw new SessionGone();
  await store.forgetOldCookie(req);
  await store.lifecycle.end(req.sessionID, unproved ? undefined : req.session);
  Reflect.deleteProperty(req, 'session'); // as express-session does
  res.clearCookie(store.cookie.name, store.cookie.attributes);
  store.device?.clearCookie(req, res);
}

/** The handle of this request's session. After `endSession`, of the session that ended. */
export const currentHandle = (req: Request) => sessionHandle(req.sessionID);

/** What a page may show of a session. The id itself never leaves the cookie. */
export function describeSession(req: Request) {
  const { now, expiresAt } = storeOf(req).lifecycle;
  const time = now();
  const msLeft = expiresAt({ lastSeenAt: time, createdAt: req.session.createdAt }) - time;
  return {
    stored: isStored(req.session),
    /** The first four characters of the handle. */
    number: currentHandle(req).slice(0, 4),
    expiresInSeconds: Math.floor(msLeft / 1000),
  };
}

/**
 * The sessions with these handles, without expired ones: when each was last used, in milliseconds since
 * 1970, and the kind of the browser's key that it is bound to, if any.
 */
export async function findSessions(req: Request, handles: string[]) {
  const found = await storeOf(req).lifecycle.findAll(handles);
  const described = [...found].map(([handle, { lastSeenAt, boundTo }]) => {
    const algorithm = boundTo?.since === undefined ? undefined : algorithmOf(boundTo.key);
    return [handle, { lastSeenAt, algorithm }] as const;
  });
  return new Map(described);
}

/**
 * What is known of the key that this request's session is bound to. The times are in milliseconds since
 * 1970.
 * @returns undefined without `deviceBound`
 */
export const describeDevice = (req: Request) => storeOf(req).device?.describe(req);

/** Whether the browser will get the session cookie with the response to this request. */
export const cookieReachesBrowser = (req: Request) =>
  req.secure || storeOf(req).cameSecurely.has(req) || !storeOf(req).cookie.attributes.secure;

/**
 * False if the browser would not get the cookie, if the session has a new id, or if `readOnly` returned
 * true. `updateSession` ignores `readOnly`.
 */
export const canUpdateSession = (req: Request) =>
  cookieReachesBrowser(req) && !hasMoved(req.session) && !storeOf(req).readOnly.has(req.session);

/** @throws CookieUndeliverable if the browser would not get the cookie with the response */
export function requireDeliverableCookie(req: Request): void {
  if (req.res?.headersSent) throw new Error('Change the session before the response starts');
  if (!cookieReachesBrowser(req))
    throw new CookieUndeliverable(
      'The session cookie is Secure, but the request came over plain HTTP. Behind a proxy, tell Express ' +
        "which one to trust: app.set('trust proxy', 1)",
    );
}

/** @throws TypeError when an async function made this result: nobody would wait for it */
function requireSync<T>(result: T, caller: string): T {
  if (typeof (result as PromiseLike<unknown> | undefined)?.then !== 'function') return result;
  void Promise.resolve(result).catch(() => {}); // an unhandled failure would end the process
  throw new TypeError(`${caller} takes no async function: await before you call it`);
}

function storeOf(req: Request): ExpressSessionStore {
  if (!(req.sessionStore instanceof ExpressSessionStore))
    throw new Error(
      `No session for ${req.baseUrl + req.path}: sessionMiddleware must come before this route, and ` +
        'the path of its cookie must cover it',
    );
  if (!req.session) throw new SessionGone();
  return req.sessionStore;
}
