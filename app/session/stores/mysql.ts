import type { Backend } from './backend.ts';
import { hasMethods, requireAll } from './require.ts';
import { SWEEP_ROWS, sweepExpired } from './sweep.ts';

/** The part of mysql2's promise pool used here. */
export type MysqlPool = { getConnection(): Promise<Connection> };
type Connection = {
  execute(sql: string, values: Value[]): Promise<[unknown, ...unknown[]]>;
  release(): void;
  destroy(): void;
};
type Value = string | number | null;
type Execute = (sql: string, values?: Value[]) => Promise<Result>;
type Use<T> = (execute: Execute) => Promise<T>;
type Result = { text?: string; turn?: number }[] & { affectedRows: number };

// Keys are bytes: as text, MySQL would treat keys that differ only in trailing spaces as equal.
export const MYSQL_SCHEMA = `create table if not exists records (
  \`key\` varbinary(255) primary key,
  version bigint not null,
  text mediumtext character set utf8mb4 not null,
  expires_at datetime(3),
  index records_expires_at (expires_at)
) engine = InnoDB;`;

const LONGEST_KEY = 255;
const EXPIRED = 'expires_at <= utc_timestamp(3)';
const LIVE = `(expires_at is null or not ${EXPIRED})`;
const EXPIRES_AT = 'utc_timestamp(3) + interval ? microsecond';
const GET = `select text from records where \`key\` = ? and ${LIVE}`;
const INSERT = `insert into records (version, text, expires_at, \`key\`) values (?, ?, ${EXPIRES_AT}, ?)`;
const SET = `update records set version = ?, text = ?, expires_at = ${EXPIRES_AT} where \`key\` = ?`;
const DELETE = `delete from records where \`key\` = ? and version = ? and ${LIVE}`;
const DESTROY = 'delete from records where `key` = ?';
const SWEEP = `delete from records where ${EXPIRED} limit ${SWEEP_ROWS}`;
const TAKE_TURN = "select get_lock('records sweep', 0) as turn";
const END_TURN = "select release_lock('records sweep')";

/** MySQL rolled the statement back because of another transaction. */
const ROLLED_BACK = ['ER_LOCK_DEADLOCK', 'ER_CHECKREAD'];
const codeOf = (error: unknown) =>
  error instanceof Error && 'code' in error ? String(error.code) : '';

/**
 * Keeps records in MySQL or MariaDB, one row each, under keys that start with `prefix`. It creates
 * its table if it is missing. The server's clock says which rows have expired.
 */
export function mysqlBackend(pool: MysqlPool, prefix = 'sess:'): Backend {
  requireAll([hasMethods(pool, 'getConnection'), 'mysqlBackend takes a pool of mysql2/promise']);
  const run = async <T>(use: Use<T>, attempt = 1): Promise<T> => {
    try {
      return await onConnection(pool, use);
    } catch (error) {
      const isMissing = codeOf(error) === 'ER_NO_SUCH_TABLE';
      if (attempt === 5 || !(isMissing || ROLLED_BACK.includes(codeOf(error)))) throw error;
      if (isMissing) await onConnection(pool, (execute) => execute(MYSQL_SCHEMA));
      return run(use, attempt + 1);
    }
  };
  const changes = async (sql: string, values: Value[]) =>
    (await run((execute) => execute(sql, values))).affectedRows === 1;
  const get = async (id: string) => (await run((execute) => execute(GET, [prefix + id])))[0]?.text;
  const insert = (row: Value[]) =>
    changes(INSERT, row).catch((error: unknown) => {
      if (codeOf(error) !== 'ER_DUP_ENTRY') throw error;
      return changes(`${SET} and ${EXPIRED}`, row);
    });
  const sweep = async (execute: Execute) => {
    if ((await execute(TAKE_TURN))[0]?.turn !== 1) return 0;
    const { affectedRows } = await execute(SWEEP);
    await execute(END_TURN);
    return affectedRows;
  };
  sweepExpired(pool, () => run(sweep));
  return {
    get,
    compareAndSet: async (id, seen, next, ttlMs) => {
      const key = prefix + id;
      if (Buffer.byteLength(key) > LONGEST_KEY)
        throw new RangeError(`MySQL takes keys of at most ${LONGEST_KEY} bytes`);
      if (next === null && seen === 0) return (await get(id)) === undefined;
      if (next === null) return changes(DELETE, [key, seen]);
      const microseconds = ttlMs === undefined ? null : Math.ceil(ttlMs * 1000);
      const row = [next.version, JSON.stringify(next), microseconds, key];
      return seen === 0
        ? insert(row)
        : changes(`${SET} and version = ? and ${LIVE}`, [...row, seen]);
    },
    destroy: async (id) => {
      await changes(DESTROY, [prefix + id]);
    },
  };
}

/** Gives up after three seconds, and closes the connection, because it may be dead. */
async function onConnection<T>(pool: MysqlPool, use: Use<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(reject, 3000, new Error('no answer from MySQL within 3 s'));
  });
  const asked = pool.getConnection();
  try {
    const connection = await Promise.race([asked, tooLate]);
    tooLate.catch(() => connection.destroy());
    const execute: Execute = async (sql, values = []) =>
      (await connection.execute(sql, values))[0] as Result;
    return await Promise.race([use(execute), tooLate]);
  } finally {
    clearTimeout(timer);
    const release = (connection: Connection) => connection.release();
    asked.then(release, () => {}); // even if it comes too late
  }
}
