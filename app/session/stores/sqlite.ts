import type { DatabaseSync, StatementResultingChanges } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Backend } from './backend.ts';
import { requireAll } from './require.ts';
import { sweepExpired } from './sweep.ts';

export const SQLITE_SCHEMA = `create table if not exists records (
  key text primary key,
  version integer not null,
  text text not null,
  expires_at integer
) strict;
create index if not exists records_expires_at on records (expires_at)
  where expires_at is not null;`;

/** How long the start, and then each operation, waits for another process to release its lock. */
const LOCK_MS = 5000;
/** Fewer than on a server, because SQLite blocks this whole process meanwhile. */
const SWEEP_ROWS = 200;

const SWEEP = `delete from records where key in
  (select key from records where expires_at <= ? limit ${SWEEP_ROWS})`;

/**
 * Keeps records in a SQLite database, one row each, under keys that start with `prefix`. Several
 * processes of one machine may share the file. It must not be on a network file system.
 * Give it a connection of its own: it sets `busy_timeout` to 0, and its transactions would clash with yours.
 * Each acknowledged write survives a crash of the process. It also survives a power cut, unless the
 * caller has set `PRAGMA synchronous = NORMAL`, which is faster.
 */
export function sqliteBackend(database: DatabaseSync, prefix = 'sess:'): Backend {
  setUp(database);
  const { one } = database.prepare('select 1 as one where :yes').get({ yes: 1 }) ?? {};
  requireAll([
    one === 1,
    'sqliteBackend takes a DatabaseSync without readBigInts and returnArrays',
  ]);
  const live = '(expires_at is null or expires_at > :now)';
  const select = database.prepare(`select text from records where key = :key and ${live}`);
  const insert = database.prepare(
    `insert into records values (:key, :version, :text, :expiresAt) on conflict (key) do update
     set version = excluded.version, text = excluded.text, expires_at = excluded.expires_at
     where not ${live}`,
  );
  const update = database.prepare(
    `update records set version = :version, text = :text, expires_at = :expiresAt
     where key = :key and version = :seen and ${live}`,
  );
  const remove = database.prepare(
    `delete from records where key = :key and version = :seen and ${live}`,
  );
  const destroy = database.prepare('delete from records where key = :key');
  const write = inTransactions(database);
  const sweep = async () => {
    await sleep(10, undefined, { ref: false }); // lets requests through
    return Number(database.prepare(SWEEP).run(Date.now()).changes);
  };
  sweepExpired(database, sweep, SWEEP_ROWS);

  const get: Backend['get'] = (id) =>
    whenUnlocked(
      () =>
        (select.get({ key: prefix + id, now: Date.now() }) as { text: string } | undefined)?.text,
    );

  return {
    get,
    compareAndSet: async (id, seen, next, ttlMs) => {
      const key = prefix + id;
      const text = JSON.stringify(next);
      if (next === null && seen === 0) return (await get(id)) === undefined;
      return write(() => {
        const now = Date.now();
        if (next === null) return remove.run({ key, seen, now });
        const { version } = next;
        const expiresAt = ttlMs === undefined ? null : now + Math.ceil(ttlMs);
        const row = { key, version, text, expiresAt, now };
        return seen === 0 ? insert.run(row) : update.run({ ...row, seen });
      });
    },
    destroy: async (id) => {
      await write(() => destroy.run({ key: prefix + id }));
    },
  };
}

/**
 * Blocks until the database is ready for use. `busy_timeout` is not enough: SQLite ignores it
 * when two processes switch a new database to WAL at the same time.
 */
function setUp(database: DatabaseSync) {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (const start = performance.now(); ; Atomics.wait(pause, 0, 0, Math.random() * 5)) {
    try {
      // SQLite would block this whole process while it waits for a lock: `whenUnlocked` waits instead.
      database.exec(`PRAGMA busy_timeout = 0; PRAGMA journal_mode = WAL; ${SQLITE_SCHEMA}`);
      return;
    } catch (error) {
      if (!isLocked(error) || performance.now() - start > LOCK_MS) throw error;
    }
  }
}

type Write = () => StatementResultingChanges;
type Waiting = {
  run: Write;
  resolve: (changed: boolean) => void;
  reject: (error: unknown) => void;
};

/**
 * Runs all waiting writes in one transaction, so that they wait only once for the lock and once for the
 * disk. If one fails, all of them fail.
 * @returns a function that resolves to whether its write changed a row, once that is stored
 */
function inTransactions(database: DatabaseSync) {
  const waiting: Waiting[] = [];

  async function commit() {
    try {
      await whenUnlocked(() => database.exec('begin immediate'));
    } catch (error) {
      for (const { reject } of waiting.splice(0)) reject(error);
      return;
    }
    const writes = waiting.splice(0);
    try {
      const results = writes.map(({ run }) => run().changes === 1);
      database.exec('commit');
      for (const [n, { resolve }] of writes.entries()) resolve(results[n] === true);
    } catch (error) {
      if (database.isTransaction) database.exec('rollback');
      for (const { reject } of writes) reject(error);
    }
  }

  return (run: Write) =>
    new Promise<boolean>((resolve, reject) => {
      if (waiting.push({ run, resolve, reject }) === 1) setImmediate(() => void commit());
    });
}

async function whenUnlocked<T>(operation: () => T): Promise<T> {
  for (const start = performance.now(); ; await sleep(Math.random() * 5)) {
    try {
      return operation();
    } catch (error) {
      if (!isLocked(error) || performance.now() - start > LOCK_MS) throw error;
    }
  }
}

const SQLITE_BUSY = 5;
const isLocked = (error: unknown) =>
  error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === SQLITE_BUSY;
