import { closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { RowDataPacket } from 'mysql2/promise';
import type { DatabaseTarget } from '../../config/database-url.ts';
import { type Config, ConfigError } from '../../config/environment.ts';
import type { RedisTarget } from '../../config/redis-url.ts';
import {
  type Backend,
  memcachedBackend,
  mysqlBackend,
  postgresBackend,
  redisBackend,
  sqliteBackend,
} from '../session/index.ts';
import { CONNECT_MS, connectMemcached, connectMysql, connectPostgres } from './drivers.ts';
import { recordCounters, redisCounters } from './rate-limit-store.ts';
import { readyCheck } from './ready-check.ts';

/** A server or a file that keeps records, opened as the configuration says. */
export type Store = {
  /** Keeps records under keys that start with `prefix`. */
  backend: (prefix: string) => Backend;
  /** Rejects while the store does not answer. */
  check: () => Promise<unknown>;
  /** For commands only: it reads all keys. */
  keys: (prefix: string) => Promise<string[]>;
  close: () => Promise<unknown>;
};
type OnError = (error: unknown) => void;

/** Opens what the configuration names. Sessions in memory need nothing: `sessions` is undefined. */
export async function openStores(config: Config, onError: (what: string) => OnError) {
  const { store } = config;
  const redis = store === 'redis' ? await openRedis(config.redis, onError('Redis')) : undefined;
  const onDatabaseError = onError('the database');
  const database = await openDatabase(config.database, onDatabaseError);
  const memcached = store === 'memcached' ? await openMemcached(config.memcached) : undefined;
  const sessions = store === 'database' ? database : (redis ?? memcached);
  return {
    sessions: sessions?.backend('sess:'),
    documents: database.backend('doc:'),
    /** For the limits that hold across all processes. */
    counters: redis
      ? redisCounters(redis.client)
      : sessions && recordCounters(database.backend('limit:')),
    checks: {
      ...(sessions && sessions !== database && { 'session store': readyCheck(sessions) }),
      database: readyCheck(database),
    },
    // Without Redis, a new worker would respond with 503 to visitors whom the other workers could serve.
    connected: () =>
      Promise.all([
        redis?.connected(2000),
        database.check().catch(onDatabaseError),
        memcached?.check().catch(onError('Memcached')),
      ]),
    close: () => [redis, memcached, database].map((each) => each?.close()),
  };
}

export async function openRedis(target: RedisTarget, onError: OnError) {
  const { connectRedis, whenConnected } = await import('./redis-client.ts');
  const redis = connectRedis(target, onError);
  return {
    client: redis,
    backend: (prefix: string) => redisBackend(redis, prefix),
    check: redis.check,
    keys: redis.keys,
    connected: (limitMs: number) => whenConnected(redis, limitMs),
    close: async () => redis.close(),
  };
}

/** @param connectMs how long a connection may take, in milliseconds */
export function openDatabase(
  target: DatabaseTarget,
  onError: OnError,
  connectMs = CONNECT_MS,
): Promise<Store> {
  if (target.kind === 'sqlite') return openSqlite(target.path);
  return target.kind === 'mysql'
    ? openMysql(target.url, onError, connectMs)
    : openPostgres(target.url, onError, connectMs);
}

async function openSqlite(path: string): Promise<Store> {
  const { DatabaseSync } = await import('node:sqlite');
  const open = (synchronous: 'FULL' | 'NORMAL') => {
    const database = new DatabaseSync(path, { timeout: LOCK_MS });
    database.exec(`PRAGMA synchronous = ${synchronous}`);
    return database;
  };
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    closeSync(openSync(path, 'a', 0o600)); // nobody else may read it
    const durable = open('FULL');
    const { ino } = statSync(path);
    // Changes of sessions and limits do not wait for the disk, so a power cut may undo the last ones.
    const relaxed = open('NORMAL');
    return storeOf({
      backend: (prefix) => sqliteBackend(prefix === 'doc:' ? durable : relaxed, prefix),
      rows: async (...range) => durable.prepare(`${KEYS} key >= ? and key < ?`).all(...range),
      close: async () => [durable, relaxed].map((database) => database.close()),
      // SQLite would go on with the file that it has open, and the next start would not find the changes.
      verify: () => {
        if (statSync(path).ino !== ino) throw new Error(`${path} was replaced. Restart the shop`);
      },
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `DATABASE_URL names ${path}, which cannot be used as a database: ${reason}`;
    throw new ConfigError(message, { cause });
  }
}

async function openPostgres(url: string, onError: OnError, connectMs: number): Promise<Store> {
  const pool = await connectPostgres(url, onError, connectMs);
  return storeOf({
    backend: (prefix) => postgresBackend(pool, prefix),
    rows: async (...range) => (await pool.query(`${KEYS} key >= $1 and key < $2`, range)).rows,
    close: () => pool.end(),
  });
}

async function openMysql(url: string, onError: OnError, connectMs: number): Promise<Store> {
  const pool = await connectMysql(url, onError, connectMs);
  const keys = 'select `key` from records where `key` >= ? and `key` < ?';
  return storeOf({
    backend: (prefix) => mysqlBackend(pool, prefix),
    rows: async (...range) => (await pool.query<RowDataPacket[]>(keys, range))[0],
    // end() may fail, or never settle, if a connection breaks or is destroyed meanwhile.
    close: async () => void pool.end().catch(() => {}),
  });
}

async function openMemcached(url: string): Promise<Pick<Store, 'backend' | 'check' | 'close'>> {
  const client = await connectMemcached(url);
  const backend = (prefix: string) => memcachedBackend(client, prefix);
  const sessions = backend('sess:');
  return { backend, check: () => sessions.get('check'), close: async () => client.shutdown() };
}

/** How long the start waits for another process that has the SQLite database locked. */
const LOCK_MS = 5000;
const KEYS = 'select key from records where';

type Rows = readonly Record<string, unknown>[];
function storeOf({
  backend,
  rows,
  close,
  verify = () => {},
}: Pick<Store, 'backend' | 'close'> & {
  rows: (from: string, to: string) => Promise<Rows>;
  verify?: () => void;
}): Store {
  const documents = backend('doc:');
  const check = async () => {
    verify();
    return documents.get('check'); // it creates the table if it is missing
  };
  return {
    backend,
    check,
    keys: async (prefix) => {
      await check();
      const end = prefix.replace(/:$/, ';'); // the next character
      return (await rows(prefix, end)).map(({ key }) => String(key));
    },
    close,
  };
}
