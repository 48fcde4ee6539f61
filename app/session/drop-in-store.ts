import { isDeepStrictEqual } from 'node:util';
import { type SessionData, Store } from 'express-session';
import { sessionHandle } from './session-id.ts';
import type { Backend, Versioned } from './stores/backend.ts';
import { compareAndSetLoop } from './stores/compare-and-set-loop.ts';
import { carefully, type GuardOptions, guarded } from './stores/guarded.ts';
import type { MemoryBackend } from './stores/memory.ts';
import type { OldSession } from './stores/old-store.ts';
import { areTimes, isBackend, LONGEST_MS, LONGEST_TIMER_MS, requireAll } from './stores/require.ts';

export type DropInEvent =
  /**
   * Two requests changed the same field, whose path is `field`, such as `theme.colour`. The later one
   * won, unless it changed something inside an object that the other one deleted. Equal values are not
   * a conflict, so a lost count emits no event.
   */
  | { type: 'conflict'; field: string }
  /** A request changed a session that had ended meanwhile. The change was dropped. */
  | { type: 'gone' }
  | { type: 'touch-failed' | 'store-down'; error: unknown }
  /** A stored session, or one of the old store, could not be read. Its visitor starts afresh. */
  | { type: 'unreadable'; reason: string }
  | { type: 'imported' | 'store-up' };

export type DropInOptions = GuardOptions & {
  /**
   * A session unused for this long has expired, in milliseconds. It can expire up to 1 % of that time sooner,
   * but never more than a minute, because a request does not restart a clock that has just been restarted.
   * Default: the cookie's maxAge, or a day
   */
  idleMs?: number;
  /** A session this old has expired, however busy it is, in milliseconds. Default: no limit */
  absoluteMs?: number;
  /** Number fields, such as `views`, that are added up when two requests change them. */
  counters?: readonly string[];
  onEvent?: (event: DropInEvent) => void;
};

type Data = { readonly [field: string]: unknown; readonly cookie?: unknown };
type DropInRecord = Versioned & { createdAt: number; lastSeenAt: number; session: Data };
/** What a request knows of its session: the record that it loaded or saved, and the data it held then. */
type Seen = { key: string; record: DropInRecord; data: Data };
/** With `expires = false`, express-session makes both false: the cookie ends with the browser. */
type StoredCookie = { originalMaxAge?: number | false | null; expires?: string | false | null };
type Callback = (error?: unknown, value?: unknown) => void;

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/**
 * A store for express-session that keeps the changes of simultaneous requests. Each save stores the
 * difference between the session as the request loaded it and as it is now, applied to what is stored by
 * then: a three-way merge by compare-and-set. Two requests that change different fields both win, and a
 * session that has ended never comes back.
 */
export function dropInStore(backend: Backend, options: DropInOptions = {}): Store {
  const { absoluteMs = Infinity, counters = [], answerWithinMs = 1500 } = options;
  const { now = Date.now } = options;
  const emit = carefully(options.onEvent);
  requireAll(
    isBackend(backend),
    [Array.isArray(counters), 'counters must be a list of the names of fields'],
    ...areTimes({ idleMs: options.idleMs ?? DAY_MS, absoluteMs }, LONGEST_MS, true),
    ...areTimes({ answerWithinMs }, LONGEST_TIMER_MS),
  );
  const { store: records, imports, forget } = guarded(backend, options, emit, parse);
  const commit = compareAndSetLoop(records, msLeft);
  /** Keyed by the Session object or, until express-session has made one, by the loaded data. */
  const seenBy = new WeakMap<object, Seen>();
  const lastSave = new WeakMap<object, Promise<void>>();

  function parse(text: string): DropInRecord | undefined {
    let record: Partial<DropInRecord> | null = null;
    try {
      record = JSON.parse(text);
    } catch {}
    if (isPlain(record?.session?.cookie))
      return msLeft(record as DropInRecord) > 0 ? (record as DropInRecord) : undefined;
    emit({ type: 'unreadable', reason: record ? 'no cookie' : 'not JSON' });
    return undefined;
  }

  function msLeft({ createdAt, lastSeenAt, session }: DropInRecord): number {
    const { originalMaxAge, expires } = (session.cookie ?? {}) as StoredCookie;
    const { idleMs = isNumber(originalMaxAge) ? originalMaxAge : DAY_MS } = options;
    const cookieEnds = expires ? Date.parse(expires) : Infinity;
    return Math.min(lastSeenAt + idleMs, createdAt + absoluteMs, cookieEnds) - now();
  }

  async function load(id: string): Promise<SessionData | null> {
    const key = sessionHandle(id);
    const record = (await records.get(key)) ?? (await imports?.adopt(id, records, fromOld, msLeft));
    if (!record) return null;
    const data: SessionData = JSON.parse(JSON.stringify(record.session));
    seenBy.set(data, { key, record, data: record.session });
    return data;
  }

  function fromOld({ fields, cookie, version }: OldSession): DropInRecord {
    const time = now();
    return { version, createdAt: time, lastSeenAt: time, session: { ...fields, cookie } };
  }

  /** Saves of one session object run one after another: each starts from what the previous one stored. */
  function saveInTurn(id: string, session: SessionData): Promise<void> {
    const data: Data = JSON.parse(JSON.stringify(session));
    const before = lastSave.get(session) ?? Promise.resolve();
    const turn = before.catch(() => {}).then(() => save(id, session, data));
    lastSave.set(session, turn);
    return turn;
  }

  async function save(id: string, session: SessionData, data: Data): Promise<void> {
    const key = sessionHandle(id);
    const known = seenBy.get(session);
    const seen = known?.key === key ? known : undefined; // an app may save it under another id
    const lastSeenAt = now();
    const first = { version: 1, createdAt: lastSeenAt, lastSeenAt, session: data };
    // An app can end a session by giving it an expired cookie.
    if (msLeft(seen ? { ...seen.record, lastSeenAt, session: data } : first) <= 0)
      return records.destroy(key);
    let conflicts: string[] = [];
    const record = await commit(key, seen?.record, (current) => {
      conflicts = [];
      if (!current && seen) throw new SessionEnded();
      if (!current) return first;
      // Data that was not loaded, such as a backup, replaces the session. Not `instanceof Session`: an
      // app may have a second copy of express-session.
      const isEdit = seen || 'req' in session;
      const isAlone = current.session === seen?.data; // nobody else has changed the session since
      const merged =
        isEdit && !isAlone ? merge(seen?.data ?? {}, data, current.session, conflicts) : data;
      return { ...current, version: current.version + 1, lastSeenAt, session: merged };
    });
    seenBy.set(session, { key, record, data });
    for (const field of conflicts) emit({ type: 'conflict', field });
  }

  /**
   * Restarts the idle clock, unless another request stored something meanwhile. A clock that would gain
   * little keeps running: otherwise, each read would be a write, too.
   */
  async function touch(id: string, record: DropInRecord, cookie: unknown): Promise<void> {
    const next = { ...record, lastSeenAt: now(), session: { ...record.session, cookie } };
    const left = msLeft(next);
    const gained = left - msLeft(record); // NaN if neither ever ends
    if (left > 0 && gained >= Math.min(left / 100, MINUTE_MS))
      await records.compareAndSet(sessionHandle(id), record.version, next, left);
  }

  /** `theirs` with the changes that lead from `base` to `mine`. Adds to `conflicts` what both changed. */
  function merge(base: Data, mine: Data, theirs: Data, conflicts: string[], path = ''): Data {
    // Maps, because a field may be named `constructor` or `__proto__`.
    const [was, is, merged] = [fieldsOf(base), fieldsOf(mine), fieldsOf(theirs)];
    for (const field of new Set([...was.keys(), ...is.keys()])) {
      const [before, after, current] = [was.get(field), is.get(field), merged.get(field)];
      const name = path + field;
      if (isDeepStrictEqual(before, after)) continue;
      if (name === 'cookie') {
        if (!isOnlyRestarted(before, after) || isOnlyRestarted(before, current))
          merged.set(field, after);
      } else if (canMerge(before, after, current, name)) {
        merged.set(
          field,
          merge((before ?? {}) as Data, after as Data, current as Data, conflicts, `${name}.`),
        );
      } else if (counters.includes(name) && [before ?? 0, after, current ?? 0].every(isNumber)) {
        merged.set(field, Number(current ?? 0) + Number(after) - Number(before ?? 0));
      } else {
        const agree = isDeepStrictEqual(before, current) || isDeepStrictEqual(after, current);
        if (!agree) conflicts.push(name);
        // A change inside an object must not bring back a deleted object, such as the user who logged out.
        if (!agree && isPlain(before) && isPlain(after)) continue;
        if (after === undefined) merged.delete(field);
        else merged.set(field, after);
      }
    }
    return Object.fromEntries(merged);
  }

  /**
   * Objects are merged. If two requests made different ones where there was none, each stays whole: half of
   * two users is nobody.
   */
  const canMerge = (before: unknown, after: unknown, current: unknown, path: string) =>
    isPlain(after) &&
    isPlain(current) &&
    (isPlain(before) || ((before ?? null) === null && fits(after, current, path)));

  /** Whether no field has different values in both. Counters may differ. */
  const fits = (mine: Data, theirs: Data, path: string): boolean =>
    Object.keys(mine).every((field) => {
      const [a, b, name] = [mine[field], theirs[field], `${path}.${field}`];
      if (!Object.hasOwn(theirs, field) || isDeepStrictEqual(a, b)) return true;
      if (isPlain(a) && isPlain(b)) return fits(a, b, name);
      return counters.includes(name) && isNumber(a) && isNumber(b);
    });

  function drop(error: unknown): void {
    if (!(error instanceof SessionEnded)) throw error;
    emit({ type: 'gone' });
  }

  const dropIn: Partial<Store> = {
    get: (id, callback) => passOn(load(id), callback),
    set: (id, session, callback) => passOn(saveInTurn(id, session).catch(drop), callback),
    touch: (id, session, callback) => {
      const record = seenBy.get(session)?.record;
      const cookie: unknown = JSON.parse(JSON.stringify(session.cookie));
      // express-session calls only `touch` if nothing but the cookie's settings changed.
      if (record && !isOnlyRestarted(record.session.cookie, cookie))
        return passOn(saveInTurn(id, session).catch(drop), callback);
      // express-session would cut off a response that is complete.
      const hide = (error: unknown) => emit({ type: 'touch-failed', error });
      passOn(record && touch(id, record, cookie).catch(hide), callback);
    },
    destroy: (id, callback) => passOn(forget(id), callback),
    createSession: (req, data) => {
      const session = Store.prototype.createSession.call(store, req, data);
      const seen = seenBy.get(data);
      if (seen) seenBy.set(session, seen);
      return session;
    },
  };

  /**
   * Optional methods of a store, which only memory offers. There is no `all`: it would have to name ids, and
   * only browsers know them.
   */
  function listed({ texts }: MemoryBackend): Partial<Store> {
    const count = () => [...texts.values()].filter((text) => parse(text)).length;
    return {
      length: (callback) => passOn(count(), callback as Callback),
      clear: (callback) => passOn(Promise.all([...texts.keys()].map(records.destroy)), callback),
    };
  }

  const more = 'texts' in backend ? listed(backend as MemoryBackend) : {};
  const store: Store = Object.assign(Reflect.construct(Store, []), dropIn, more);
  return store;
}

/** The session that a request had loaded ended before the request saved it. */
class SessionEnded extends Error {}

const isPlain = (value: unknown): value is Data =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isNumber = (value: unknown): value is number => typeof value === 'number';

const fieldsOf = (data: Data) => new Map(Object.entries(data));

/** express-session restarts a cookie's `maxAge` at each response. The app did not make that change. */
function isOnlyRestarted(before: unknown, after: unknown): boolean {
  const settingsOf = ({ expires, originalMaxAge, ...rest }: StoredCookie) => ({
    ...rest,
    // Restarting can take a millisecond off.
    maxAgeSeconds: Math.round(Number(originalMaxAge) / 1000),
  });
  return isDeepStrictEqual(settingsOf(before ?? {}), settingsOf(after ?? {}));
}

/**
 * Calls back outside the promise, so that an error in the callback is not taken for the store's. Not by
 * setImmediate, which would cost a turn of the event loop for each call.
 */
function passOn<T>(
  value: Promise<T> | T,
  callback: ((error: unknown, value?: T) => void) | undefined,
) {
  Promise.resolve(value).then(
    (answered) => callback && process.nextTick(callback, null, answered),
    (error: unknown) => callback && process.nextTick(callback, error),
  );
}
