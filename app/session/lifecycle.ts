import { SessionBusy, SessionGone, StoreUnavailable } from './errors.ts';
import {
  draftOf,
  emptySession,
  recordOf,
  type SessionDraft,
  type SessionRecord,
} from './record.ts';
import { newSessionId, sessionHandle } from './session-id.ts';
import type { SessionBackend } from './stores/backends.ts';
import { changes, MOST_ATTEMPTS } from './stores/changes.ts';
import { answersWithin } from './stores/deadline.ts';

export type SessionEvent =
  | { type: 'created' | 'ended' | 'conflict' | 'touched' | 'store-up' }
  /** version: undefined when there is none, MOVED when it has another id by now. */
  | { type: 'loaded'; version: number | undefined }
  | { type: 'committed'; from: SessionRecord; to: SessionRecord }
  /** to: what the session under the new id begins with. */
  | { type: 'renewed'; to: SessionRecord }
  /** touch-failed: the idle clock could not be restarted; the answer was complete by then. */
  | { type: 'store-down' | 'touch-failed'; error: unknown };

export type SessionsOptions = {
  backend: SessionBackend;
  /** A session unused for this long is over, in milliseconds. */
  idleMs: number;
  /** A session this old is over however busy it is, in milliseconds. */
  absoluteMs: number;
  /** The clock, in milliseconds since 1970; tests bring their own. */
  now?: () => number;
  /** How long the backend may take for one answer, in milliseconds. */
  answerWithinMs?: number;
  /** Told what happens to sessions and to the store, for logs, metrics and pages. */
  onEvent?: (event: SessionEvent) => void;
};

type Carry = (old: SessionRecord | undefined) => SessionDraft;

export type Renewal = {
  /** The new id, where it must be known beforehand: see `newSessionId`. */
  id?: string;
  /** Whether the cookie outlives the browser; if not said, as before. */
  persistent?: boolean | undefined;
};

/**
 * The version of a session that got a new id a moment ago. Requests that the browser sent before it
 * had the new cookie still arrive under the old id. They see an empty session and can store nothing:
 * as new visitors they would be given a cookie, which overwrites that of the log-in.
 */
export const MOVED = -1;
const MOVED_MS = 60_000;
const movedKey = (handle: string) => `moved:${handle}`;

export type Sessions = ReturnType<typeof createSessions>;

/** Sessions as this module promises them, over a backend; nothing here knows of HTTP. */
export function createSessions(options: SessionsOptions) {
  const { idleMs, absoluteMs, now = Date.now, onEvent: tell = () => {} } = options;
  const ask = answersWithin(options.answerWithinMs ?? 1500, (error) =>
    tell(error === undefined ? { type: 'store-up' } : { type: 'store-down', error }),
  );
  // Every failure of the backend is a StoreUnavailable, silence among them.
  const backend: SessionBackend = {
    get: (key) => ask(options.backend.get(key)),
    compareAndSet: (...args) => ask(options.backend.compareAndSet(...args)),
    destroy: (key) => ask(options.backend.destroy(key)),
  };

  /** @returns when the session will end if it is not used again, in milliseconds since 1970 */
  const expiresAt = ({ lastSeenAt, createdAt }: Pick<SessionRecord, 'lastSeenAt' | 'createdAt'>) =>
    Math.min(lastSeenAt + idleMs, createdAt + absoluteMs);
  /** @returns when it will end however busy it is, in milliseconds since 1970 */
  const endsAt = ({ createdAt }: SessionRecord) => createdAt + absoluteMs;
  const msLeft = (record: SessionRecord) => expiresAt(record) - now();
  const changeStored = changes(backend, msLeft);

  /** The session of someone who has none, at version 0: stored when it is first changed. */
  function fresh({ lost = false } = {}): SessionRecord {
    const time = now();
    return recordOf(emptySession({ lost }), { version: 0, createdAt: time, lastSeenAt: time });
  }

  /**
   * @returns undefined when there is none, or when one of its clocks has run out; an empty session at
   *   version MOVED when it was renewed a moment ago
   */
  async function read(id: string): Promise<SessionRecord | undefined> {
    const record = await find(id);
    tell({ type: 'loaded', version: record?.version });
    return record;
  }

  async function find(id: string): Promise<SessionRecord | undefined> {
    const key = sessionHandle(id);
    const record = await backend.get(key);
    if (!record) {
      const moved = await backend.get(movedKey(key));
      return moved && { ...fresh(), version: MOVED };
    }
    if (msLeft(record) > 0) return record;
    await backend.compareAndSet(key, record.version, null, 0);
    return undefined;
  }

  /**
   * Restarts the idle clock after a mere look, unless someone stored meanwhile. The version stays, so
   * a change under way elsewhere is not made to retry. A touch that loses is dropped: the winner
   * restarted the clock, or there is no session any more. Nobody waits for it.
   */
  function touch(id: string, seen: SessionRecord): void {
    const { version } = seen;
    if (version <= 0) return;
    const record = recordOf(draftOf(seen), { ...seen, lastSeenAt: now() });
    const left = msLeft(record);
    if (left <= 0) return;
    backend
      .compareAndSet(sessionHandle(id), version, record, left)
      .then((kept) => kept && tell({ type: 'touched' }))
      .catch((error: unknown) => tell({ type: 'touch-failed', error }));
  }

  /**
   * Applies `change` to the session and stores it.
   * @param seen the session as the caller knows it, however stale
   * @returns the session as stored
   * @throws SessionGone, SessionBusy, StoreUnavailable, and whatever `change` throws: then nothing is
   *   stored
   */
  async function update(
    id: string,
    seen: SessionRecord,
    change: (draft: SessionDraft) => void,
  ): Promise<SessionRecord> {
    if (seen.version === MOVED) throw new SessionGone();
    let from = seen;
    let ranBefore = false;
    const to = await changeStored(sessionHandle(id), seen, (current) => {
      if (ranBefore) tell({ type: 'conflict' });
      ranBefore = true;
      if (!current) throw new SessionGone();
      from = current;
      const draft = draftOf(current);
      change(draft);
      const stamp = { ...current, version: current.version + 1, lastSeenAt: now() };
      const next = recordOf(draft, stamp);
      if (msLeft(next) <= 0) throw new SessionGone();
      return next;
    });
    if (to.version === 1) tell({ type: 'created' });
    tell({ type: 'committed', from, to });
    return to;
  }

  /**
   * Moves a session to a new id, so that an id planted before log-in is worth nothing after it
   * (session fixation). A change that lands on the old session meanwhile is carried over, too.
   * @param carry what the new session begins with, made from the old one; from undefined when the
   *   old one has ended meanwhile, by a log-out or by another log-in
   * @returns the new id and the session stored under it; `failure` when the store failed after that,
   *   and the old one may still be there
   * @throws StoreUnavailable, SessionBusy, and whatever `carry` throws: then there is no new session
   */
  async function renew(
    oldId: string,
    seen: SessionRecord,
    carry: Carry,
    { id = newSessionId(), persistent = seen.persistent }: Renewal = {},
  ): Promise<{ id: string; record: SessionRecord; failure?: StoreUnavailable }> {
    const createdAt = now();
    const oldKey = sessionHandle(oldId);
    let old = seen.version === MOVED ? undefined : seen;
    let record: SessionRecord | undefined;
    try {
      for (let version = 1; version <= MOST_ATTEMPTS; version++) {
        const stamp = { version, createdAt, lastSeenAt: createdAt, persistent };
        const next = recordOf(carry(old), stamp);
        // The new one first, so that the session is at all times somewhere. Nobody else knows the new
        // id, so this cannot conflict.
        await backend.compareAndSet(sessionHandle(id), version - 1, next, msLeft(next));
        tell(version === 1 ? { type: 'renewed', to: next } : { type: 'conflict' });
        record = next;
        if (!old || old.version === 0) return { id, record };
        await backend.compareAndSet(movedKey(oldKey), 0, { ...fresh(), version: 1 }, MOVED_MS);
        if (await backend.compareAndSet(oldKey, old.version, null, 0)) return { id, record };
        old = await backend.get(oldKey);
      }
      throw new SessionBusy('the session is changed too often at once');
    } catch (failure) {
      // The old one may be gone by now: its browser must learn the new id, or all would be lost.
      if (record && failure instanceof StoreUnavailable) return { id, record, failure };
      if (record) await backend.destroy(sessionHandle(id));
      throw failure;
    }
  }

  /**
   * Destroys the session; there need not be one.
   * @param seen the session as the caller knows it, however stale
   * @throws SessionGone when it was renewed meanwhile, and lives on under its new id
   */
  async function end(id: string, seen?: SessionRecord): Promise<void> {
    const key = sessionHandle(id);
    let current = seen;
    let attempts = 1;
    // Compare-and-set, so as to know whether it was this that ended it.
    while (!current || !(await backend.compareAndSet(key, current.version, null, 0))) {
      // Others change it without a pause, but a log-out wins.
      if (attempts++ === MOST_ATTEMPTS) {
        await backend.destroy(key);
        break;
      }
      current = await backend.get(key);
      if (current) continue;
      if (await backend.get(movedKey(key))) throw new SessionGone();
      break;
    }
    tell({ type: 'ended' });
  }

  /** Of each session with one of these handles that is not over: see `lastSeen` in session.ts. */
  async function lastSeen(handles: string[]): Promise<Map<string, number>> {
    const seen = handles.map(async (handle): Promise<[string, number][]> => {
      const record = await backend.get(handle);
      return record && msLeft(record) > 0 ? [[handle, record.lastSeenAt]] : [];
    });
    return new Map((await Promise.all(seen)).flat());
  }

  return { now, expiresAt, endsAt, fresh, read, touch, update, renew, end, lastSeen };
}
