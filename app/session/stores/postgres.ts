import type { Backend } from './backend.ts';
import { hasMethods, requireAll } from './require.ts';
import { SWEEP_ROWS, sweepExpired } from './sweep.ts';

/** The part of pg's Pool used here. */
export type PostgresPool = {
  query(query: {
    text: string;
    values: unknown[] | undefined;
    query_timeout: number;
  }): Promise<{ rows: { text?: string }[]; rowCount: number | null }>;
};

export const POSTGRES_SCHEMA = `create table if not exists records (
  key text collate "C" primary key,
  version bigint not null,
  text text not null,
  expires_at timestamptz
);
create index if not exists records_expires_at on records (expires_at);`;

// Without the lock, two processes that create the table at the same moment could both fail.
const CREATE = `select pg_advisory_xact_lock(7240112); ${POSTGRES_SCHEMA}`;
const LIVE = '(records.expires_at is null or records.expires_at > now())';
const EXPIRES_AT = "now() + $4::float8 * interval '1 millisecond'";
const GET = `select text from records where key = $1 and ${LIVE}`;
const INSERT = `insert into records values ($1, $2, $3, ${EXPIRES_AT}) on conflict (key)
  do update set version = excluded.version, text = excluded.text, expires_at = excluded.expires_at
  where not ${LIVE}`;
const UPDATE = `update records set version = $2, text = $3, expires_at = ${EXPIRES_AT}
  where key = $1 and version = $5 and ${LIVE}`;
const DELETE = `delete from records where key = $1 and version = $2 and ${LIVE}`;
const DESTROY = 'delete from records where key = $1';
// The outer `expires_at <= now()` is checked again once the row is locked, so a row that another
// process has just replaced stays.
const SWEEP = `with turn as materialized (select pg_try_advisory_xact_lock(7240113) as mine)
  delete from records where expires_at <= now() and key in
  (select key from records, turn where mine and expires_at <= now() limit ${SWEEP_ROWS})`;

/** After this time without an answer, pg replaces the connection, because it may be dead. */
const QUERY_TIMEOUT_MS = 3000;
const UNDEFINED_TABLE = '42P01';
const ROLLED_BACK = ['40001', '40P01'];

/**
 * Keeps records in PostgreSQL, one row each, under keys that start with `prefix`. It creates its
 * table if it is missing. The server's clock says which rows have expired.
 */
export function postgresBackend(pool: PostgresPool, prefix = 'sess:'): Backend {
  requireAll([hasMethods(pool, 'query'), 'postgresBackend takes a Pool of pg']);
  const query = (text: string, values?: unknown[]) =>
    pool.query({ text, values, query_timeout: QUERY_TIMEOUT_MS });
  const run = async (text: string, values?: unknown[], attempt = 1) => {
    try {
      return await query(text, values);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : '';
      if (attempt === 5 || ![UNDEFINED_TABLE, ...ROLLED_BACK].includes(code)) throw error;
      if (code === UNDEFINED_TABLE) await query(CREATE);
      return run(text, values, attempt + 1);
    }
  };
  const changed = async (text: string, values?: unknown[]) =>
    (await run(text, values)).rowCount ?? 0;
  const get = async (id: string) => (await run(GET, [prefix + id])).rows[0]?.text;
  sweepExpired(pool, () => changed(SWEEP));
  return {
    get,
    compareAndSet: async (id, seen, next, ttlMs) => {
      const key = prefix + id;
      if (next === null && seen === 0) return (await get(id)) === undefined;
      if (next === null) return (await changed(DELETE, [key, seen])) === 1;
      const row = [key, next.version, JSON.stringify(next), ttlMs];
      const stored = seen === 0 ? changed(INSERT, row) : changed(UPDATE, [...row, seen]);
      return (await stored) === 1;
    },
    destroy: async (id) => {
      await run(DESTROY, [prefix + id]);
    },
  };
}
