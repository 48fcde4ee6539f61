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
import { newSessionId, sessionHandle } from './session-id.ts';

export type SessionEvent =
  | { type: 'created' | 'ended' | 'conflict' | 'touched' | 'store-up' }
  /** version: undefined when there is none, MOVED when it has another id by now. */
  | { type: 'loaded'; version: number | undefined }
  | { type: 'committed'; from: SessionRecord; to: SessionRecord }
  /** to: what the session under the new id begins with. */
  | { type: 'renewed'; to: SessionRecord }
  /** refused: compare-and-set found another version. */
  | { type: 'round-trip'; operation: Operation; outcome: 'ok' | 'refused' | 'failed'; ms: number }
  /** touch-failed: the idle clock could not be restarted; the answer was complete by then. */
  | { type: 'store-down' | 'touch-failed'; error: unknown };

type Operation = 'get' | 'compare-and-set' | 'destroy';

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

type Change = (draft: SessionDraft) => void;
type Carry = (old: SessionRecord | undefined) => SessionDraft;

/**
 * The version of a session that got a new id a moment ago. Requests that the browser sent before it
 * had the new cookie still arrive under the old id. They see an empty session and can store nothing:
 * as new visitors they would be given a cookie, which overwrites that of the log-in.
 */
export const MOVED = -1;
const MOVED_MS = 60_000;
const movedKey = (handle: string) => `moved:${handle}`;

const MOST_ATTEMPTS = 100;

export type Sessions = ReturnType<typeof createSessions>;

/** Sessions as this module promises them, over a backend; nothing here knows of HTTP. */
export function createSessions(options: SessionsOptions) {
  const { idleMs, absoluteMs, now = Date.now, onEvent: tell = () => {} } = options;
  const ask = answersWithin(options.answerWithinMs ?? 1500, (error) =>
    tell(error === undefined ? { type: 'store-up' } : { type: 'store-down', error }),
  );
  // Every failure of the backend is a StoreUnavailable, silence among them.
  const backend: SessionBackend = {
    get: (key) => ask(timed('get', options.backend.get(key))),
    compareAndSet: (...args) =>
      ask(timed('compare-and-set', options.backend.compareAndSet(...args))),
    destroy: (key) => ask(timed('destroy', options.backend.destroy(key))),
  };
  async function timed<T>(operation: Operation, answer: Promise<T>): Promise<T> {
    const started = performance.now();
    const over = (outcome: 'ok' | 'refused' | 'failed') =>
      tell({ type: 'round-trip', operation, outcome, ms: performance.now() - started });
    try {
      const value = await answer;
      over(value === false ? 'refused' : 'ok');
      return value;
    } catch (error) {
      over('failed');
      throw error;
    }
  }
  /** Per session, the change that is under way in this process: the next one waits for it. */
  const lastInLine = new Map<string, Promise<SessionRecord>>();

  /** @returns when the session will end if it is not used again, in milliseconds since 1970 */
  const expiresAt = ({ lastSeenAt, createdAt }: Pick<SessionRecord, 'lastSeenAt' | 'createdAt'>) =>
    Math.min(lastSeenAt + idleMs, createdAt + absoluteMs);
  const msLeft = (record: SessionRecord) => expiresAt(record) - now();

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
    const { version, createdAt } = seen;
    const record = recordOf(draftOf(seen), { version, createdAt, lastSeenAt: now() });
    const left = msLeft(record);
    if (version <= 0 || left <= 0) return;
    backend
      .compareAndSet(sessionHandle(id), version, record, left)
      .then((kept) => kept && tell({ type: 'touched' }))
      .catch((error: unknown) => tell({ type: 'touch-failed', error }));
  }

  /**
   * Applies `change` to the session and stores it, by compare-and-set: on a conflict the stored
   * session is read again and the change applied to that. Never merge two sessions instead:
   * connect-redis tried (#333) and had to take it back (#347).
   * @param seen the session as the caller knows it, however stale
   * @returns the session as stored
   * @throws SessionGone, SessionBusy, StoreUnavailable, and whatever `change` throws: then nothing is
   *   stored
   */
  function update(id: string, seen: SessionRecord, change: Change): Promise<SessionRecord> {
    if (seen.version === MOVED) return Promise.reject(new SessionGone());
    const key = sessionHandle(id);
    // One at a time within a process, each starting from what the one before it stored. The promise
    // of compare-and-set does not need it; it saves the store the conflicts.
    const before = lastInLine.get(key);
    const turn = (async () => {
      const stored = await before?.catch((error: unknown) => {
        // A silent store is silent to the whole line: each would wait for it in turn.
        if (error instanceof StoreUnavailable) throw error;
      });
      return commit(key, stored && stored.version > seen.version ? stored : seen, change);
    })();
    lastInLine.set(key, turn);
    const leave = () => {
      if (lastInLine.get(key) === turn) lastInLine.delete(key);
    };
    turn.then(leave, leave);
    return turn;
  }

  async function commit(key: string, seen: SessionRecord, change: Change): Promise<SessionRecord> {
    let current = seen;
    for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
      const draft = draftOf(current);
      change(draft);
      const { version, createdAt } = current;
      const next = recordOf(draft, { version: version + 1, createdAt, lastSeenAt: now() });
      const left = msLeft(next);
      if (left <= 0) throw new SessionGone();
      if (await backend.compareAndSet(key, version, next, left)) {
        if (version === 0) tell({ type: 'created' });
        tell({ type: 'committed', from: current, to: next });
        return next;
      }
      tell({ type: 'conflict' });
      const stored = await backend.get(key);
      if (!stored) throw new SessionGone();
      current = stored;
    }
    throw new SessionBusy('the session is changed too often at once');
  }

  /**
   * Moves a session to a new id, so that an id planted before log-in is worth nothing after it
   * (session fixation). A change that lands on the old session meanwhile is carried over, too.
   * @param carry what the new session begins with, made from the old one; from undefined when the
   *   old one has ended meanwhile, by a log-out or by another log-in
   * @returns the new id and the session stored under it
   * @throws StoreUnavailable, and whatever `carry` throws
   */
  async function renew(
    oldId: string,
    seen: SessionRecord,
    carry: Carry,
  ): Promise<{ id: string; record: SessionRecord }> {
    const id = newSessionId();
    const createdAt = now();
    const oldKey = sessionHandle(oldId);
    let old = seen.version === MOVED ? undefined : seen;
    for (let version = 1; ; version++) {
      const record = recordOf(carry(old), { version, createdAt, lastSeenAt: createdAt });
      // The new one first, so that the session is at all times somewhere. Nobody else knows the new
      // id, so this cannot conflict.
      await backend.compareAndSet(sessionHandle(id), version - 1, record, msLeft(record));
      tell(version === 1 ? { type: 'renewed', to: record } : { type: 'conflict' });
      if (!old || old.version === 0) return { id, record };
      await backend.compareAndSet(movedKey(oldKey), 0, fresh(), MOVED_MS);
      if (await backend.compareAndSet(oldKey, old.version, null, 0)) return { id, record };
      old = await backend.get(oldKey);
    }
  }

  /** Destroys the session; there need not be one. */
  async function end(id: string): Promise<void> {
    await backend.destroy(sessionHandle(id));
    tell({ type: 'ended' });
  }

  return { now, expiresAt, fresh, read, touch, update, renew, end };
}
