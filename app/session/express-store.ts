import { callbackify } from 'node:util';
import type { Request } from 'express';
import { type SessionData, Store } from 'express-session';
import type { Sessions } from './lifecycle.ts';
import type { SessionRecord } from './record.ts';

export type SessionCookie = {
  name: string;
  /** Without `expires`: that of a persistent session is computed, any other ends with the browser. */
  attributes: { path: '/'; httpOnly: true; secure: boolean; sameSite: 'lax' | 'strict' };
};

type Callback = (error?: unknown) => void;

/** The store that express-session talks to, and the only file where its callbacks appear. */
export class SessionStore extends Store {
  // express-session gives its store this function.
  declare generate: (req: Request) => void;
  readonly sessions: Sessions;
  readonly cookie: SessionCookie;

  constructor(sessions: Sessions, cookie: SessionCookie) {
    super();
    this.sessions = sessions;
    this.cookie = cookie;
  }

  override get = callbackify(async (id: string) => {
    const record = await this.sessions.read(id);
    return record && this.#withCookie(record, null);
  });

  /**
   * The closing save of a response. `req.session` is a frozen picture of what is stored already, so
   * there is nothing left to write. Writing would be the classical bug: it overwrites what other
   * requests stored meanwhile and brings back a session that was destroyed.
   */
  override set(_id: string, session: SessionData, callback?: Callback): void {
    callback?.(
      Object.isFrozen(session) ? null : new Error('Change a session through updateSession only'),
    );
  }

  /** express-session is not told of a failure: it would cut off an answer that is complete. */
  override touch(id: string, session: SessionData, callback?: Callback): void {
    this.sessions.touch(id, session);
    callback?.();
  }

  override destroy(id: string, callback: Callback = () => {}): void {
    callbackify(() => this.sessions.end(id))(callback);
  }

  /**
   * Makes a frozen picture of `record` what `req.session` shows from now on.
   * @param maxAge of its cookie. express-session sends a cookie that has one again at each change: only
   *   a new id gets one, for a late answer would replace the next id by this.
   */
  show(req: Request, record: SessionRecord, maxAge = req.session.cookie.originalMaxAge): void {
    Object.freeze(this.createSession(req, this.#withCookie(record, maxAge)));
  }

  /** In milliseconds; null: the cookie ends with the browser. */
  maxAgeOf(record: SessionRecord): number | null {
    const { now, endsAt } = this.sessions;
    return record.persistent ? endsAt(record) - now() : null;
  }

  /** The cookie's attributes are not stored: they are this deployment's, not the session's. */
  #withCookie(record: SessionRecord, originalMaxAge: number | null): SessionData {
    return { ...record, cookie: { originalMaxAge, ...this.cookie.attributes } };
  }
}
