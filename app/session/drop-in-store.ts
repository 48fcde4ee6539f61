import { isDeepStrictEqual } from 'node:util';
import type { Request } from 'express';
import { type Session, type SessionData, Store } from 'express-session';
import { sessionHandle } from './session-id.ts';
import type { Backend, Versioned } from './stores/backend.ts';
import { compareAndSetLoop } from './stores/compare-and-set-loop.ts';
import { answersWithin } from './stores/deadline.ts';
import type { MemoryBackend } from './stores/memory.ts';

export type DropInEvent =
  /** Two requests changed the same field. The later one won. `field` is a path such as `cart.hat`. */
  | { type: 'conflict'; field: string }
  /** A request changed a session that had ended meanwhile. The change was dropped. */
  | { type: 'gone' }
  | { type: 'touch-failed' | 'store-down'; error: unknown }
  | { type: 'store-up' };

export type DropInOptions = {
  /** A session unused for this long has expired, in milliseconds. Default: the cookie's maxAge, or a day */
  idleMs?: number;
  /** A session this old has expired, however busy it is, in milliseconds. Default: no limit */
  absoluteMs?: number;
  /** Number fields, such as `views`, that are added up when two requests change them. */
  counters?: readonly string[];
  /** How long the backend may take for one answer, in milliseconds. Default: 1500 */
  answerWithinMs?: number;
  /** The clock, in milliseconds since 1970. Default: Date.now */
  now?: () => number;
  onEvent?: (event: DropInEvent) => void;
};

type Data = { readonly [field: string]: unknown };
type DropInRecord = Versioned & { createdAt: number; lastSeenAt: number; session: Data };
/** What a request knows of its session: as stored when it loaded or saved it, and as it saw it. */
type Seen = { record: DropInRecord; data: Data };
type Callback = (error?: unknown, value?: unknown) => void;

const DAY_MS = 24 * 3_600_000;

/**
 * A store for express-session that loses no change. Each save stores the difference between the session
 * as the request loaded it and as it is now, applied to what is stored by then: a three-way merge by
 * compare-and-set. Two requests that change different fields both win, and a session that has ended
 * never comes back.
 */
export const dropInStore = (backend: Backend, options: DropInOptions = {}): Store =>
  new DropInStore(backend, options);

class DropInStore extends Store {
  readonly #options: DropInOptions;
  readonly #now: () => number;
  readonly #emit: (event: DropInEvent) => void;
  readonly #records;
  readonly #commit;
  readonly #destroy: (key: string) => Promise<void>;
  /** By session, and until express-session makes it a session, by its data. */
  readonly #seen = new WeakMap<object, Seen>();

  constructor(backend: Backend, options: DropInOptions) {
    super();
    const { now = Date.now, onEvent: emit = () => {}, answerWithinMs = 1500 } = options;
    const ask = answersWithin(answerWithinMs, (error) =>
      emit(error === undefined ? { type: 'store-up' } : { type: 'store-down', error }),
    );
    this.#options = options;
    this.#now = now;
    this.#emit = emit;
    this.#records = {
      get: async (key: string) => this.#parse(await ask(backend.get(key))),
      compareAndSet: (key: string, version: number, next: DropInRecord, ttlMs?: number) =>
        ask(backend.compareAndSet(key, version, next, ttlMs)),
    };
    this.#commit = compareAndSetLoop(this.#records, (record: DropInRecord) => this.#msLeft(record));
    this.#destroy = (key) => ask(backend.destroy(key));
    if ('texts' in backend) this.#list(backend as MemoryBackend);
  }

  /** The optional methods of a store, which only memory can have: `all` gives sessions by their handles. */
  #list(backend: MemoryBackend): void {
    const { texts } = backend;
    const sessions = () =>
      [...texts].flatMap(([key, text]) => {
        const record = this.#parse(text);
        return record ? [[key, record.session] as const] : [];
      });
    Object.assign(this, {
      all: (callback: Callback) => answer(Object.fromEntries(sessions()), callback),
      length: (callback: Callback) => answer(sessions().length, callback),
      clear: (callback: Callback = () => {}) =>
        answer(Promise.all([...texts.keys()].map((key) => backend.destroy(key))), callback),
    });
  }

  override get(id: string, callback: (error: unknown, session?: SessionData | null) => void): void {
    const load = async () => {
      const record = await this.#records.get(sessionHandle(id));
      if (!record) return null;
      const session = structuredClone(record.session) as unknown as SessionData;
      this.#seen.set(session, { record, data: record.session });
      return session;
    };
    answer(load(), callback);
  }

  override createSession(req: Request, data: SessionData): Session & SessionData {
    const seen = this.#seen.get(data);
    const session = super.createSession(req, data);
    if (seen) this.#seen.set(session, seen);
    return session;
  }

  override set(id: string, session: SessionData, callback: Callback = () => {}): void {
    const data: Data = JSON.parse(JSON.stringify(session));
    const seen = this.#seen.get(session);
    const lastSeenAt = this.#now();
    const first = { version: 1, createdAt: lastSeenAt, lastSeenAt, session: data };
    const save = async () => {
      const record = await this.#commit(sessionHandle(id), seen?.record, (current) => {
        if (!current && seen) throw new SessionEnded();
        if (!current) return first;
        const merged = this.#merge(seen?.data ?? {}, data, current.session);
        return { ...current, version: current.version + 1, lastSeenAt, session: merged };
      });
      this.#seen.set(session, { record, data });
    };
    const drop = (error: unknown) => {
      if (!(error instanceof SessionEnded)) throw error;
      this.#emit({ type: 'gone' });
    };
    answer(save().catch(drop), callback);
  }

  /** Restarts the idle clock, unless another request stored something meanwhile. */
  override touch(id: string, session: SessionData, callback: Callback = () => {}): void {
    const touch = async () => {
      const seen = this.#seen.get(session);
      if (!seen) return;
      const { record } = seen;
      const cookie: unknown = JSON.parse(JSON.stringify(session.cookie));
      const next = { ...record, lastSeenAt: this.#now(), session: { ...record.session, cookie } };
      const { version } = record;
      await this.#records.compareAndSet(sessionHandle(id), version, next, this.#msLeft(next));
    };
    // express-session would cut off an answer that is complete.
    const hide = (error: unknown) => this.#emit({ type: 'touch-failed', error });
    answer(touch().catch(hide), callback);
  }

  override destroy(id: string, callback: Callback = () => {}): void {
    answer(this.#destroy(sessionHandle(id)), callback);
  }

  #parse(text: string | undefined): DropInRecord | undefined {
    try {
      const record: DropInRecord | null = text === undefined ? null : JSON.parse(text);
      return record?.session && this.#msLeft(record) > 0 ? record : undefined;
    } catch {
      return undefined;
    }
  }

  #msLeft({ createdAt, lastSeenAt, session }: DropInRecord): number {
    const { originalMaxAge } = (session.cookie ?? {}) as { originalMaxAge?: number | null };
    const { idleMs = originalMaxAge ?? DAY_MS, absoluteMs = Number.POSITIVE_INFINITY } =
      this.#options;
    return Math.min(lastSeenAt + idleMs, createdAt + absoluteMs) - this.#now();
  }

  /** `theirs` with the changes that lead from `base` to `mine`. */
  #merge(base: Data, mine: Data, theirs: Data, path = ''): Data {
    const merged = { ...theirs };
    for (const field of Object.keys({ ...base, ...mine })) {
      const [before, after, now] = [base[field], mine[field], theirs[field]];
      const name = path + field;
      if (isDeepStrictEqual(before, after)) continue;
      if (after === undefined) delete merged[field];
      else if (isPlain(after) && isPlain(now) && isPlain(before ?? {}) && name !== 'cookie')
        merged[field] = this.#merge((before ?? {}) as Data, after, now, `${name}.`);
      else if (typeof after === 'number' && this.#options.counters?.includes(name))
        merged[field] = Number(now ?? 0) + after - Number(before ?? 0);
      else {
        const conflict = !isDeepStrictEqual(before, now) && !isDeepStrictEqual(after, now);
        if (conflict && name !== 'cookie') this.#emit({ type: 'conflict', field: name });
        merged[field] = after;
      }
    }
    return merged;
  }
}

/** The session that a request had loaded ended before the request saved it. */
class SessionEnded extends Error {}

const isPlain = (value: unknown): value is Data =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Calls back outside the promise, so that an error in the callback is not taken for the store's. */
function answer<T>(value: Promise<T> | T, callback: (error: unknown, value?: T) => void): void {
  Promise.resolve(value).then(
    (answered) => setImmediate(callback, null, answered),
    (error: unknown) => setImmediate(callback, error),
  );
}
