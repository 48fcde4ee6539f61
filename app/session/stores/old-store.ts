import { randomInt } from 'node:crypto';
import { promisify } from 'node:util';
import type { Store } from 'express-session';
import { sessionHandle } from '../session-id.ts';
import { type Backend, type Versioned, versionOf } from './backend.ts';
import type { Records } from './compare-and-set-loop.ts';

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

/**
 * The versions of an imported session begin at a multiple of this number, and those of other sessions at
 * 1. So a version tells which import made the session.
 */
const IMPORT = 2 ** 20;
const NO_IMPORT = IMPORT ** 2;
const importOf = (version: unknown) => Math.floor(Number(version) / IMPORT);

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
  const destroy = promisify((id: string, done: (error?: unknown) => void) => {
    store.destroy(id, done);
  });

  function open({ backend, now, ask, emit }: Host) {
    const msLeft = () => until.getTime() - now();
    /** A copy that stays there is never imported again, because of its mark. */
    const remove = (id: string) => ask(destroy(id)).catch(() => {});

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
      const isOver = !record || ttlMs(record) <= 0;
      // If the old store holds nothing, another request may just have imported the session.
      if (isOver || !(await records.compareAndSet(key, 0, record, ttlMs(record))))
        return records.get(key);
      emit({ type: 'imported' });
      await remove(id);
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
        return { fields: asJson(map(fields)), cookie, version: IMPORT * randomInt(1, IMPORT) };
      } catch (error) {
        return report(error);
      }
    }

    function report(error: unknown): undefined {
      emit({ type: 'unreadable', reason: `old session: ${(error as Error).message}` });
    }

    /**
     * Whether a session may still be imported: yes, if the old store is down. Needed because express-session
     * also destroys ids that never existed: a mark for each of them would let anyone fill the store.
     */
    const mayHold = async (id: string) => msLeft() > 0 && ask(read(id)).then(Boolean, () => true);

    return { ...rememberingImports(backend, msLeft), adopt, mayHold, remove };
  }

  return {
    cookieName,
    open,
    isUnchanged: ({ version }: Versioned) => version > 0 && version % IMPORT === 0,
  };
}

/**
 * An old process that still runs may store an imported session once more. A second import would undo a
 * log-out. So each import leaves a mark until `until`. Of several imports, the first mark decides: a session
 * of another import does not count, even before it is deleted.
 */
function rememberingImports(backend: Backend, msLeft: () => number) {
  const markOf = (key: string) => `imported:${key}`;
  /** @returns whether there was no mark */
  const mark = (key: string, version = NO_IMPORT) =>
    backend.compareAndSet(markOf(key), 0, { version: importOf(version) }, msLeft());
  const isImport = (version: unknown) => importOf(version) > 0 && msLeft() > 0;

  const remembering: Backend = {
    ...backend,
    get: async (key) => {
      const text = await backend.get(key);
      const version = versionOf(text);
      if (!isImport(version)) return text;
      const marked = await backend.get(markOf(key));
      return marked === undefined || versionOf(marked) === importOf(version) ? text : undefined;
    },
    compareAndSet: async (key, version, next, ttlMs) => {
      if (!next && isImport(version)) await mark(key, version);
      if (!(await backend.compareAndSet(key, version, next, ttlMs))) return false;
      if (version > 0 || !next || !isImport(next.version)) return true;
      if (await mark(key, next.version)) return true;
      await backend.compareAndSet(key, next.version, null);
      return false;
    },
  };
  return { backend: remembering, mark };
}

/** As JSON returns it: without undefined fields, and with dates as texts. */
const asJson = (value: object) => JSON.parse(JSON.stringify(value));
