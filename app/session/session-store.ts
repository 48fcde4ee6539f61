import { createHash, randomBytes } from 'node:crypto';
import { callbackify } from 'node:util';
import type { Request } from 'express';
import { type SessionData, Store } from 'express-session';
import type { SessionBackend } from './backends.ts';
import { answersWithin } from './deadline.ts';
import {
  draftOf,
  emptySession,
  recordOf,
  type SessionDraft,
  type SessionRecord,
} from './session-data.ts';
import { SessionBusy, SessionGone, StoreUnavailable } from './session-errors.ts';

export type SessionEvent =
  | { type: 'created' | 'renewed' | 'ended' | 'conflict' | 'store-up' }
  /** touch-failed: the idle clock could not be restarted; the answer was complete by then. */
  | { type: 'store-down' | 'touch-failed'; error: unknown };

export type SessionStoreOptions = {
  backend: SessionBackend;
  /** Without `expires` or `maxAge`: the cookie ends with the browser, the clocks below are ours. */
  cookie: {
    name: string;
    attributes: { path: '/'; httpOnly: true; secure: boolean; sameSite: 'lax' | 'strict' };
  };
  /** A session unused for this long is over, in milliseconds. */
  idleMs: number;
  /** A session this old is over however busy it is, in milliseconds. */
  absoluteMs: number;
  /** The clock, in milliseconds since 1970; tests bring their own. */
  now?: () => number;
  /** How long the backend may take for one answer, in milliseconds. */
  answerWithinMs?: number;
  /** Told what happens to sessions and to the store, for logs and metrics. */
  onEvent?: (event: SessionEvent) => void;
};

type Callback = (error?: unknown) => void;
const ignore: Callback = () => {};

/** 256 bits from the operating system's generator, as 43 URL-safe characters. */
export const newSessionId = () => randomBytes(32).toString('base64url');

/**
 * What the backend knows a session by: the SHA-256 of its id. A stolen dump of the store therefore
 * holds no usable cookie. No salt: an id is random enough that it cannot be guessed from its hash.
 */
export const sessionHandle = (id: string) => createHash('sha256').update(id).digest('base64url');

/**
 * The version of a session that got a new id a moment ago. Requests that the browser sent before it
 * had the new cookie still arrive under the old id. They see an empty session and can store nothing:
 * as new visitors they would be given a cookie, which overwrites that of the log-in.
 */
export const MOVED = -1;
const MOVED_MS = 60_000;
const movedKey = (handle: string) => `moved:${handle}`;

/**
 * The store that express-session talks to, and the only file where its callbacks appear. Sessions
 * are read here; they are changed by `update` and `renew` alone, before the response begins.
 */
export class SessionStore extends Store {
  // express-session gives its store this function.
  declare generate: (req: Request) => void;
  readonly cookie: SessionStoreOptions['cookie'];
  readonly now: () => number;
  readonly #backend: SessionBackend;
  readonly #options: SessionStoreOptions;
  /** Per session, the change that is under way in this process: the next one waits for it. */
  readonly #lastInLine = new Map<string, Promise<SessionRecord>>();

  constructor(options: SessionStoreOptions) {
    super();
    this.#options = options;
    this.#backend = withDeadline(options.backend, options.answerWithinMs ?? 1500, (event) =>
      this.#tell(event),
    );
    this.cookie = options.cookie;
    this.now = options.now ?? Date.now;
  }

  // What express-session calls

  override get(id: string, callback: (error: unknown, session?: SessionData) => void): void {
    callbackify(async () => {
      const record = await this.read(id);
      return record && this.#withCookie(record);
    })(callback);
  }

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

  /** A request that only read: restarts the idle clock, unless someone stored meanwhile. */
  override touch(id: string, session: SessionData, callback?: Callback): void {
    const { version, createdAt } = session;
    const record = recordOf(draftOf(session), { version, createdAt, lastSeenAt: this.now() });
    // The version stays, so a change under way elsewhere is not made to retry. A touch that loses
    // is dropped: the winner restarted the clock, or there is no session any more. Nobody waits for
    // it, and express-session is not told of a failure: it would cut an answer that is complete.
    const msLeft = this.#msLeft(record);
    if (version > 0 && msLeft > 0)
      this.#backend
        .compareAndSet(sessionHandle(id), version, record, msLeft)
        .catch((error: unknown) => this.#tell({ type: 'touch-failed', error }));
    callback?.();
  }

  override destroy(id: string, callback?: Callback): void {
    callbackify(() => this.end(id))(callback ?? ignore);
  }

  /** Makes a frozen picture of `record` what `req.session` shows from now on. */
  show(req: Request, record: SessionRecord): void {
    Object.freeze(this.createSession(req, this.#withCookie(record)));
  }

  // What the rest of session/ calls

  /** The session of someone who has none, at version 0: stored when it is first changed. */
  fresh({ lost = false } = {}): SessionRecord {
    const now = this.now();
    return recordOf(emptySession({ lost }), { version: 0, createdAt: now, lastSeenAt: now });
  }

  /**
   * @returns undefined when there is none, or when one of its clocks has run out; an empty session at
   *   version MOVED when it was renewed a moment ago
   */
  async read(id: string): Promise<SessionRecord | undefined> {
    const key = sessionHandle(id);
    const record = await this.#backend.get(key);
    if (!record) {
      const moved = await this.#backend.get(movedKey(key));
      return moved && { ...this.fresh(), version: MOVED };
    }
    if (this.#msLeft(record) > 0) return record;
    await this.#backend.compareAndSet(key, record.version, null, 0);
    return undefined;
  }

  /** Destroys the session; there need not be one. */
  async end(id: string): Promise<void> {
    await this.#backend.destroy(sessionHandle(id));
    this.#tell({ type: 'ended' });
  }

  /** @returns when the session will end if it is not used again, in milliseconds since 1970 */
  expiresAt({ lastSeenAt, createdAt }: Pick<SessionRecord, 'lastSeenAt' | 'createdAt'>): number {
    return Math.min(lastSeenAt + this.#options.idleMs, createdAt + this.#options.absoluteMs);
  }

  /**
   * Applies `change` to the session and stores it, by compare-and-set: on a conflict the stored
   * session is read again and the change applied to that. Never merge two sessions instead:
   * connect-redis tried (#333) and had to take it back (#347).
   * @param seen the session as the caller knows it, however stale
   * @returns the session as stored
   * @throws SessionGone, StoreUnavailable, and whatever `change` throws: then nothing is stored
   */
  update(
    id: string,
    seen: SessionRecord,
    change: (draft: SessionDraft) => void,
  ): Promise<SessionRecord> {
    if (seen.version === MOVED) return Promise.reject(new SessionGone());
    const key = sessionHandle(id);
    // One at a time within a process, each starting from what the one before it stored. The promise
    // of compare-and-set does not need it; it saves the store the conflicts.
    const before = this.#lastInLine.get(key);
    const turn = (async () => {
      const stored = await before?.catch((error: unknown) => {
        // A silent store is silent to the whole line: each would wait for it in turn.
        if (error instanceof StoreUnavailable) throw error;
      });
      return this.#commit(key, stored && stored.version > seen.version ? stored : seen, change);
    })();
    this.#lastInLine.set(key, turn);
    const leave = () => {
      if (this.#lastInLine.get(key) === turn) this.#lastInLine.delete(key);
    };
    turn.then(leave, leave);
    return turn;
  }

  /**
   * Moves a session to a new id, so that an id planted before log-in is worth nothing after it
   * (session fixation). A change that lands on the old session meanwhile is carried over, too.
   * @param carry what the new session begins with, made from the old one; from undefined when the
   *   old one has ended meanwhile, by a log-out or by another log-in
   * @returns the new id and the session stored under it
   * @throws StoreUnavailable, and whatever `carry` throws
   */
  async renew(
    oldId: string,
    seen: SessionRecord,
    carry: (old: SessionRecord | undefined) => SessionDraft,
  ): Promise<{ id: string; record: SessionRecord }> {
    const id = newSessionId();
    const createdAt = this.now();
    const oldKey = sessionHandle(oldId);
    let old = seen.version === MOVED ? undefined : seen;
    for (let version = 1; ; version++) {
      const record = recordOf(carry(old), { version, createdAt, lastSeenAt: createdAt });
      // The new one first, so that the session is at all times somewhere. Nobody else knows the new
      // id, so this cannot conflict.
      await this.#backend.compareAndSet(
        sessionHandle(id),
        version - 1,
        record,
        this.#msLeft(record),
      );
      this.#tell({ type: version === 1 ? 'renewed' : 'conflict' });
      if (!old || old.version === 0) return { id, record };
      await this.#backend.compareAndSet(movedKey(oldKey), 0, this.fresh(), MOVED_MS);
      if (await this.#backend.compareAndSet(oldKey, old.version, null, 0)) return { id, record };
      old = await this.#backend.get(oldKey);
    }
  }

  async #commit(
    key: string,
    seen: SessionRecord,
    change: (draft: SessionDraft) => void,
  ): Promise<SessionRecord> {
    let current = seen;
    for (let attempt = 1; attempt <= 100; attempt++) {
      const draft = draftOf(current);
      change(draft);
      const { version, createdAt } = current;
      const next = recordOf(draft, { version: version + 1, createdAt, lastSeenAt: this.now() });
      const msLeft = this.#msLeft(next);
      if (msLeft <= 0) throw new SessionGone();
      if (await this.#backend.compareAndSet(key, version, next, msLeft)) {
        if (version === 0) this.#tell({ type: 'created' });
        return next;
      }
      this.#tell({ type: 'conflict' });
      const stored = await this.#backend.get(key);
      if (!stored) throw new SessionGone();
      current = stored;
    }
    throw new SessionBusy('the session is changed too often at once');
  }

  #tell(event: SessionEvent): void {
    this.#options.onEvent?.(event);
  }

  #msLeft(record: SessionRecord): number {
    return this.expiresAt(record) - this.now();
  }

  /** The cookie's attributes are not stored: they are this deployment's, not the session's. */
  #withCookie(record: SessionRecord): SessionData {
    return { ...record, cookie: { originalMaxAge: null, ...this.cookie.attributes } };
  }
}

/** The backend, with every failure a StoreUnavailable, silence among them. */
function withDeadline(
  backend: SessionBackend,
  ms: number,
  tell: (event: SessionEvent) => void,
): SessionBackend {
  const ask = answersWithin(ms, (error) =>
    tell(error === undefined ? { type: 'store-up' } : { type: 'store-down', error }),
  );
  return {
    get: (key) => ask(backend.get(key)),
    compareAndSet: (...args) => ask(backend.compareAndSet(...args)),
    destroy: (key) => ask(backend.destroy(key)),
  };
}
