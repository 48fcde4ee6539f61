import { isDeepStrictEqual } from 'node:util';
import type { Request } from 'express';
import { SessionGone, StoreUnavailable, TooManyConflicts } from './errors.ts';
import { sessionFields } from './fields.ts';
import {
  draftOf,
  type FieldsOption,
  hasMoved,
  isStored,
  MOVED,
  NOT_STORED,
  recordFormat,
  type SessionDraft,
  type SessionRecord,
  type SessionStamp,
  type SessionStart,
} from './record.ts';
import { newSessionId, sessionHandle } from './session-id.ts';
import type { Backend } from './stores/backend.ts';
import { compareAndSetLoop, MAX_ATTEMPTS } from './stores/compare-and-set-loop.ts';
import { carefully, type GuardOptions, guarded } from './stores/guarded.ts';
import type { OldSession } from './stores/old-store.ts';

export type SessionEvent =
  | { type: 'created' | 'imported' | 'ended' | 'conflict' | 'touched' | 'store-up' }
  | { type: 'loaded'; found: 'session' | 'moved' | 'nothing'; version?: number }
  /** A stored session does not fit the fields. Its visitor starts afresh. */
  | { type: 'unreadable'; reason: string }
  | { type: 'committed'; from: SessionRecord; to: SessionRecord }
  | { type: 'renewed'; to: SessionRecord }
  | { type: 'store-down' | 'touch-failed'; error: unknown }
  /** A browser registered its key, or proved it. */
  | { type: 'device-registered' | 'device-proved' }
  /** A request of a bound session without proof, or a bad proof. */
  | { type: 'device-refused'; reason: string };

/** `fields`: what a session holds, each field optional or with a default. Default: `fields.ts` */
export type LifecycleOptions = FieldsOption &
  GuardOptions & {
    backend: Backend;
    /** A session unused for this long has expired, in milliseconds. */
    idleMs: number;
    /** A session this old has expired, however busy it is, in milliseconds. */
    absoluteMs: number;
    /** Added to a new session when the browser sent a cookie whose session no longer exists. */
    whenLost?: Partial<SessionDraft>;
    /**
     * Called for everything that happens to sessions and to the store. `req` comes only with the events of
     * devices.
     */
    onEvent?: ((event: SessionEvent, req?: Request) => void) | undefined;
  };

type Carry = (old: SessionRecord | undefined) => SessionStart;

export type Renewal = {
  /** The new id, if the caller has to know it beforehand: see `newSessionId`. */
  id?: string;
  /** Whether the cookie outlives the browser. Default: as before */
  persistent?: boolean | undefined;
  /**
   * With `deviceBound`. 'new': the browser is asked for a new key, as at log-in. 'keep': the browser keeps
   * its key, as after a password change. 'none': nobody is logged in. Default: 'new'
   */
  device?: 'new' | 'keep' | 'none' | undefined;
};

const MOVED_MS = 60_000;
const movedKey = (handle: string) => `moved:${handle}`;

export type Lifecycle = ReturnType<typeof createLifecycle>;

/** How sessions begin, change, move and end, over any backend. Nothing here depends on HTTP. */
export function createLifecycle(options: LifecycleOptions) {
  const { idleMs, absoluteMs, whenLost = {}, now = Date.now } = options;
  const emit = carefully(options.onEvent);
  const { fields = sessionFields } = options;
  const { recordOf, parse } = recordFormat(fields, (reason) =>
    emit({ type: 'unreadable', reason }),
  );
  const { store, imports, forget } = guarded(options.backend, options, emit, parse);

  // In milliseconds since 1970. `expiresAt`: when the session expires if it is not used again.
  // `endsAt`: when it expires in any case.
  const expiresAt = ({ lastSeenAt, createdAt }: Pick<SessionRecord, 'lastSeenAt' | 'createdAt'>) =>
    Math.min(lastSeenAt + idleMs, createdAt + absoluteMs);
  const endsAt = ({ createdAt }: SessionRecord) => createdAt + absoluteMs;
  const msLeft = (record: SessionRecord) => expiresAt(record) - now();
  const commit = compareAndSetLoop(store, msLeft);

  /** @param lost whether the browser sent a cookie whose session no longer exists */
  function fresh({ lost = false } = {}): SessionRecord {
    const time = now();
    const stamp = { version: NOT_STORED, createdAt: time, lastSeenAt: time };
    return recordOf(lost ? whenLost : {}, stamp);
  }

  /** @returns undefined if missing or expired; after a renewal, an empty session that `hasMoved` */
  async function load(id: string): Promise<SessionRecord | undefined> {
    const found = await find(sessionHandle(id));
    const record = found ?? (await imports?.adopt(id, store, fromOld, msLeft));
    if (!record) emit({ type: 'loaded', found: 'nothing' });
    else if (hasMoved(record)) emit({ type: 'loaded', found: 'moved' });
    else emit({ type: 'loaded', found: 'session', version: record.version });
    return record;
  }

  /** Like `load`, but by handle, and without the old store. */
  async function find(key: string): Promise<SessionRecord | undefined> {
    const record = await store.get(key);
    if (!record) {
      const moved = await store.get(movedKey(key));
      return moved && { ...fresh(), version: MOVED };
    }
    if (msLeft(record) > 0) return record;
    // It has expired, but the store has not deleted it yet.
    await store.compareAndSet(key, record.version, null);
    return undefined;
  }

  function fromOld({ version, cookie, fields: old }: OldSession): SessionRecord | undefined {
    const time = now();
    const persistent = Boolean(cookie.expires);
    const stamp = { version, createdAt: time, lastSeenAt: time, persistent, boundTo: undefined };
    return parse(JSON.stringify({ ...fresh(), ...old, ...stamp }));
  }

  /**
   * Restarts the idle clock after a request that only read. The version stays the same, so a change under
   * way elsewhere need not retry. A touch that loses is dropped: the winner restarted the clock, or the
   * session has ended. The response does not wait for it.
   */
  function touch(id: string, seen: SessionRecord): void {
    if (!isStored(seen)) return;
    const record = { ...seen, lastSeenAt: now() };
    const left = msLeft(record);
    if (left <= 0) return;
    store
      .compareAndSet(sessionHandle(id), seen.version, record, left)
      .then((kept) => kept && emit({ type: 'touched' }))
      .catch((error: unknown) => emit({ type: 'touch-failed', error }));
  }

  /** See `updateSession`. @param seen the session as the caller knows it, however stale */
  async function update(
    id: string,
    seen: SessionRecord,
    change: (draft: SessionDraft) => unknown,
    restamp: (current: SessionRecord) => Partial<SessionStamp> = () => ({}),
  ): Promise<SessionRecord> {
    if (hasMoved(seen)) throw new SessionGone();
    let from = seen;
    let ranBefore = false;
    const to = await commit(sessionHandle(id), seen, (current) => {
      if (ranBefore) emit({ type: 'conflict' });
      ranBefore = true;
      if (!current) throw new SessionGone();
      from = current;
      const draft = draftOf(current);
      refuseReducer(change(draft), draft, current);
      const version = current.version + 1;
      const stamp = { ...current, ...restamp(current), version, lastSeenAt: now() };
      const next = recordOf(draft, stamp);
      if (msLeft(next) <= 0) throw new SessionGone();
      return next;
    });
    if (!isStored(from)) emit({ type: 'created' });
    emit({ type: 'committed', from, to });
    return to;
  }

  /**
   * See `renewSession`. A change that another request makes to the old session meanwhile is carried over.
   * @returns the new id and the session stored under it; `failure` when the store failed while it deleted
   *   the old session, which may still exist
   * @throws StoreUnavailable, TooManyConflicts, and whatever `carry` throws; then there is no new session
   */
  async function renew(
    oldId: string,
    seen: SessionRecord,
    carry: Carry,
    { id = newSessionId(), persistent = seen.persistent, device }: Renewal = {},
  ): Promise<{ id: string; record: SessionRecord; failure?: StoreUnavailable }> {
    const createdAt = now();
    const oldKey = sessionHandle(oldId);
    let old = hasMoved(seen) ? undefined : seen;
    let record: SessionRecord | undefined;
    let isEnding = false;
    try {
      for (let version = 1; version <= MAX_ATTEMPTS; version++) {
        const boundTo = device === 'keep' ? old?.boundTo : undefined;
        const stamp = { version, createdAt, lastSeenAt: createdAt, persistent, boundTo };
        const next = recordOf(carry(old), stamp);
        // The new session is stored before the old one is deleted, so that one of them always exists.
        // Nobody else knows the new id, so this cannot conflict.
        await store.compareAndSet(sessionHandle(id), version - 1, next, msLeft(next));
        emit(version === 1 ? { type: 'renewed', to: next } : { type: 'conflict' });
        record = next;
        if (!old || !isStored(old)) return { id, record };
        await markMoved(oldKey);
        isEnding = true;
        if (await store.compareAndSet(oldKey, old.version, null)) return { id, record };
        isEnding = false;
        old = await store.get(oldKey);
      }
      throw new TooManyConflicts('Too many requests changed this session at the same time');
    } catch (failure) {
      // The old session may be gone, so its browser must learn the new id or it would lose everything.
      if (record && isEnding && failure instanceof StoreUnavailable) return { id, record, failure };
      // Otherwise the old session is there, and may have changed: its browser keeps the old id.
      if (record || failure instanceof StoreUnavailable)
        await store.destroy(sessionHandle(id)).catch(() => {});
      throw failure;
    }
  }

  const markMoved = (key: string) =>
    store.compareAndSet(movedKey(key), 0, { ...fresh(), version: 1 }, MOVED_MS);

  /** Ends a session that a new one has replaced, and carries nothing over. For late requests, see `MOVED`. */
  async function abandon(id: string): Promise<void> {
    const key = sessionHandle(id);
    await markMoved(key);
    await store.destroy(key);
  }

  /** See `endSession`. @param seen the session as the caller knows it, however stale */
  async function end(id: string, seen?: SessionRecord): Promise<void> {
    const key = sessionHandle(id);
    let current = seen;
    let attempts = 1;
    // Compare-and-set shows whether this call ended the session.
    while (!current || !(await store.compareAndSet(key, current.version, null))) {
      // Other requests keep changing the session, but a log-out wins.
      if (attempts++ === MAX_ATTEMPTS) {
        await store.destroy(key);
        break;
      }
      current = await store.get(key);
      if (current) continue;
      if (await store.get(movedKey(key))) throw new SessionGone();
      break;
    }
    emit({ type: 'ended' });
  }

  /** The sessions with these handles, without expired ones. */
  async function findAll(handles: string[]): Promise<Map<string, SessionRecord>> {
    const found = handles.map(async (handle): Promise<[string, SessionRecord][]> => {
      const record = await store.get(handle);
      return record && msLeft(record) > 0 ? [[handle, record]] : [];
    });
    return new Map((await Promise.all(found)).flat());
  }

  return {
    now,
    emit,
    expiresAt,
    endsAt,
    fresh,
    load,
    find,
    touch,
    update,
    renew,
    abandon,
    forget,
    end,
    findAll,
  };
}

/** A change such as `(draft) => ({ ...draft, views: 9 })` would be lost without a word. */
function refuseReducer(result: unknown, draft: SessionDraft, current: SessionRecord): void {
  if (typeof result !== 'object' || result === null || result === draft) return;
  const names = Object.keys(draft);
  if (names.length === 0 || !names.every((name) => name in result)) return;
  if (isDeepStrictEqual(draft, draftOf(current)) && !isDeepStrictEqual(draft, result))
    throw new TypeError('Edit the draft: updateSession does not store what the change returns');
}
