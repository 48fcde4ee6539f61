import type { MemcacheClient } from 'memcache-client';
import type { Pool as MysqlPool } from 'mysql2/promise';
import type { Pool as PostgresPool } from 'pg';

type OnError = (error: unknown) => void;

// Each driver is loaded only if it is chosen. A request waits at most a second for a connection. After
// three seconds, PostgreSQL ends a statement, and MySQL ends one that waits for a lock.
export const CONNECT_MS = 1000;
const STATEMENT_MS = 3000;
const CONNECTIONS = 10;

/** @param onError gets what goes wrong while no request is waiting */
export async function connectPostgres(
  url: string,
  onError: OnError,
  connectMs = CONNECT_MS,
): Promise<PostgresPool> {
  const { default: pg } = await load('pg', import('pg'));
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'cloakroom',
    max: CONNECTIONS,
    connectionTimeoutMillis: connectMs,
    statement_timeout: STATEMENT_MS,
    keepAlive: true,
  });
  return pool.on('error', onError);
}

/** @param onError gets what goes wrong while no request is waiting */
export async function connectMysql(
  url: string,
  onError: OnError,
  connectMs = CONNECT_MS,
): Promise<MysqlPool> {
  const { createPool } = await load('mysql2', import('mysql2/promise'));
  const pool = createPool({
    uri: url,
    connectionLimit: CONNECTIONS,
    connectTimeout: connectMs,
    // Without a limit, requests would pile up in memory while the server is silent.
    queueLimit: 1000,
  });
  pool.pool.on('connection', (connection) => {
    connection.on('error', onError);
    const limits = 'set lock_wait_timeout = ?, innodb_lock_wait_timeout = ?';
    const seconds = STATEMENT_MS / 1000;
    connection.query(limits, [seconds, seconds], (error) => error && onError(error));
  });
  return pool;
}

/** One server. It connects at the first command, and a command that has waited too long fails. */
export async function connectMemcached(url: string): Promise<MemcacheClient> {
  const { MemcacheClient } = await load('memcache-client', import('memcache-client'));
  const { hostname, port } = new URL(url);
  return new MemcacheClient({
    server: `${hostname}:${port || 11211}`,
    connectTimeout: CONNECT_MS,
    cmdTimeout: STATEMENT_MS,
    noDelay: true,
  });
}

async function load<T>(name: string, driver: Promise<T>): Promise<T> {
  try {
    return await driver;
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ERR_MODULE_NOT_FOUND'))
      throw cause;
    throw new Error(`The package ${name} is missing. Install it: npm install ${name}`, { cause });
  }
}
