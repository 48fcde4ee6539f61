import { callbackify, types } from 'node:util';
import type { Request } from 'express';
import { type SessionData, Store } from 'express-session';
import type { SessionCookie } from './cookie.ts';
import type { DeviceBinding } from './device-bound.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { OpenSessions } from './open-sessions.ts';
import { type ReadOnlySession, readOnlyView } from './read-only-session.ts';
import type { SessionRecord } from './record.ts';

type Callback = (error?: unknown) => void;

/** The store that `sessionMiddleware` gives to express-session. Behind it, promises replace callbacks. */
export class ExpressSessionStore extends Store {
  // express-session gives its store this function.
  declare generate: (req: Request) => void;
  readonly lifecycle: Lifecycle;
  readonly cookie: SessionCookie;
  readonly openSessions: OpenSessions;
  /** With `importFrom` of another cookie name only: the id in a cookie that still has that name. */
  oldIdOf?: (req: Request) => string | undefined;
  /** With `deviceBound` only. */
  device?: DeviceBinding;
  /** Requests over HTTPS. Express asks the socket for the proxy's address, which it forgets when the client leaves. */
  readonly cameSecurely = new WeakSet<Request>();
  /** The `req.session` of each read-only request. */
  readonly readOnly = new WeakSet<SessionData>();

  constructor(lifecycle: Lifecycle, cookie: SessionCookie, openSessions: OpenSessions) {
    super();
    this.lifecycle = lifecycle;
    this.cookie = cookie;
    this.openSessions = openSessions;
  }

  override get = callbackify(async (id: string) => {
    const record = await this.lifecycle.load(id);
    return record && this.#withCookie(record, null);
  });

  /**
   * express-session's save as a response ends. `req.session` is a read-only copy of what is already
   * stored, so nothing is left to write. Writing here is the classic bug: it overwrites what other
   * requests stored meanwhile, and it brings back a session that was destroyed.
   */
  override set(_id: string, session: SessionData, callback?: Callback): void {
    callback?.(
      types.isProxy(session)
        ? null
        : new Error('Change a session only through updateSession, renewSession or endSession'),
    );
  }

  /** Hides a failure from express-session, which would cut off a response that is complete. */
  override touch(id: string, session: ReadOnlySession, callback?: Callback): void {
    if (!this.readOnly.has(session)) this.lifecycle.touch(id, session.toJSON());
    callback?.();
  }

  override destroy(id: string, callback: Callback = () => {}): void {
    callbackify(() => this.lifecycle.end(id))(callback);
  }

  /** The old cookie would log its user in again as soon as the new one is gone. */
  async forgetOldCookie(req: Request): Promise<void> {
    const oldId = this.oldIdOf?.(req);
    if (oldId !== undefined && oldId !== req.sessionID) await this.lifecycle.forget(oldId);
  }

  /**
   * Makes `req.session` a read-only copy of `record`.
   * @param maxAge of the cookie, in milliseconds. If a cookie has a maxAge, express-session
   *   sends it again at each change. So only a new id gets a maxAge: otherwise a late response could
   *   overwrite a newer id.
   */
  attach(req: Request, record: SessionRecord, maxAge = req.session.cookie.originalMaxAge): void {
    this.createSession(req, this.#withCookie(record, maxAge));
    req.session = readOnlyView(req.session);
  }

  /** @returns milliseconds; null when the cookie ends with the browser */
  maxAgeOf(record: SessionRecord): number | null {
    const { now, endsAt } = this.lifecycle;
    return record.persistent ? endsAt(record) - now() : null;
  }

  /** The cookie's attributes are not stored: they belong to this deployment, not to the session. */
  #withCookie(record: SessionRecord, originalMaxAge: number | null): SessionData {
    return { ...record, cookie: { originalMaxAge, ...this.cookie.attributes } };
  }
}
