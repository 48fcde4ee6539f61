import { promisify } from 'node:util';
import type { Store } from 'express-session';
import { sessionHandle } from '../session-id.ts';
import { type Backend, type Versioned, versionOf } from './backend.ts';

export type OldStoreOptions = {
  /** When imports end. By then, the last session of the old store should have expired. */
  until: Date;
  /** Makes the fields of a session from those of an old one. Default: takes them as they are */
  map?: (old: Fields) => Fields;
  /** What the old app called its cookie. The drop-in store does not need it. Default: connect.sid */
  cookieName?: string;
};

type Fields = { readonly [name: string]: unknown };
export type OldSession = { fields: Fields; cookie: { expires?: string | null }; version: number };
export type OldStore = ReturnType<typeof oldStore>;

type Host = {
  backend: Backend;
  now: () => number;
  /** Gives the old store a deadline. */
  ask: <T>(answer: Promise<T>) => Promise<T>;
  emit: (event: { type: 'imported' } | { type: 'unreadable'; reason: string }) => void;
};
type Records<R> = {
  get(key: string): Promise<R | undefined>;
  compareAndSet(key: string, version: number, next: R, ttlMs: number): Promise<boolean>;
};

/** The first version of an imported session. Other sessions start at 1, so a version tells which it is. */
const FIRST_VERSION = 1_000_000_000;

/** What remains of an imported session that has ended. */
const ENDED = { version: 2_000_000_000 };
const ENDED_TEXT = JSON.stringify(ENDED);

/**
 * Imports the sessions that an app kept in another store of express-session. Each is imported at its
 * first request and keeps its id. It is created by compare-and-set: of several first requests, one
 * imports it and the others find it.
 * @param store that store, as the old app made it; only its `get` and `destroy` are called
 */
export function oldStore(store: Pick<Store, 'get' | 'destroy'>, options: OldStoreOptions) {
  const { until, map = (old) => old, cookieName = 'connect.sid' } = options;
  if (Number.isNaN(until.getTime())) throw new RangeError('oldStore: "until" is not a valid date');
  // The braces return nothing: promisify would warn about a returned promise.
  const read = promisify((id: string, done: Parameters<Store['get']>[1]) => {
    store.get(id, done);
  });
  const remove = promisify((id: string, done: (error?: unknown) => void) => {
    store.destroy(id, done);
  });

  function open({ backend, now, ask, emit }: Host) {
    const msLeft = () => until.getTime() - now();

    /**
     * @param make makes the new record; undefined if the old session does not fit
     * @returns undefined if there is no such session, or if it has ended since it was imported
     */
    async function adopt<R extends Versioned>(
      id: string,
      records: Records<R>,
      make: (old: OldSession) => R | undefined,
      ttlMs: (record: R) => number,
    ): Promise<R | undefined> {
      if (msLeft() <= 0) return undefined;
      const key = sessionHandle(id);
      const old = await find(id);
      const record = old && make(old);
      // If the old store holds nothing, another request may just have imported the session.
      if (!record || !(await records.compareAndSet(key, 0, record, ttlMs(record))))
        return records.get(key);
      emit({ type: 'imported' });
      await ask(remove(id)).catch(() => {}); // a copy that stays there is never imported again
      return record;
    }

    async function find(id: string): Promise<OldSession | undefined> {
      const broken = (error: unknown) => {
        if (error instanceof SyntaxError) return report(error);
        throw error;
      };
      const old = await ask(read(id).catch(broken));
      if (!old) return undefined;
      try {
        const { cookie, ...fields } = asJson(old);
        if (!cookie) throw new TypeError('there is no "cookie" in it');
        const ends = cookie.expires ? Date.parse(cookie.expires) : Infinity;
        if (Number.isNaN(ends)) throw new TypeError('"expires" of its cookie is not a date');
        if (ends <= now()) return undefined;
        return { fields: asJson(map(fields)), cookie, version: FIRST_VERSION };
      } catch (error) {
        return report(error);
      }
    }

    /**
     * Whether this session was imported, or could be. If not, its end needs no remembering:
     * express-session also destroys ids that no store has held, so anyone could fill the store.
     * @param stored reads the text under its key
     */
    async function knows(id: string, stored: () => Promise<string | undefined>): Promise<boolean> {
      if (msLeft() <= 0) return false;
      // In this order: another request may import it in between.
      if (await ask(read(id)).catch(() => true)) return true;
      return Number(versionOf(await stored())) >= FIRST_VERSION;
    }

    function report(error: unknown): undefined {
      emit({ type: 'unreadable', reason: `old session: ${(error as Error).message}` });
    }

    return { backend: rememberingImports(backend, msLeft), adopt, knows };
  }

  return { cookieName, open, isUnchanged: ({ version }: Versioned) => version === FIRST_VERSION };
}

/**
 * An old process that still runs may store its session once more. A second import would undo a log-out.
 * So the key of an imported session is never empty before `until`: it holds the session, or ENDED.
 */
function rememberingImports(backend: Backend, msLeft: () => number): Backend {
  const remembering: Backend = {
    ...backend,
    get: async (key) => {
      const text = await backend.get(key);
      return text === ENDED_TEXT ? undefined : text;
    },
    compareAndSet: (key, version, next, ttlMs) => {
      const isImported = Math.max(version, next?.version ?? 0) >= FIRST_VERSION;
      if (!isImported || msLeft() <= 0) return backend.compareAndSet(key, version, next, ttlMs);
      const ttl = next ? ttlMs && Math.max(ttlMs, msLeft()) : msLeft();
      return backend.compareAndSet(key, version, next ?? ENDED, ttl);
    },
    destroy: async (key) => {
      await backend.destroy(key);
      if (msLeft() <= 0 || (await backend.compareAndSet(key, 0, ENDED, msLeft()))) return;
      await remembering.destroy(key); // another request imported the session in between
    },
  };
  return remembering;
}

/** As JSON brings it back: without undefined fields, and with dates as texts. */
const asJson = (value: object) => JSON.parse(JSON.stringify(value));
