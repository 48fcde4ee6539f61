import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseTarget } from '../../config/database-url.ts';
import type { Config } from '../../config/environment.ts';
import type { RedisTarget } from '../../config/redis-url.ts';
import { type Backend, redisBackend, sqliteBackend } from '../session/index.ts';
import { recordCounters, redisCounters } from './rate-limit-store.ts';

/** What keeps records, opened as the configuration says. Its driver is loaded only when it is chosen. */
export type Store = {
  /** Keeps records under keys that start with `prefix`. */
  backend: (prefix: string) => Backend;
  /** Rejects while the store does not answer. */
  check: () => Promise<unknown>;
  /** For commands only: it reads all keys. */
  keys: (prefix: string) => Promise<string[]>;
  close: () => unknown;
};
type OnError = (error: unknown) => void;

/** Opens what the configuration names. Sessions in memory need nothing: `sessions` is undefined. */
export async function openStores(config: Config, onError: (what: string) => OnError) {
  const { store } = config;
  const redis = store === 'redis' ? await openRedis(config.redis, onError('Redis')) : undefined;
  const database = await openDatabase(config.database, onError('the database'));
  const sessions = store === 'database' ? database : redis;
  return {
    sessions: sessions?.backend('sess:'),
    documents: database.backend('doc:'),
    /** For the limits that hold across all processes. */
    counters: redis
      ? redisCounters(redis.client)
      : sessions && recordCounters(database.backend('limit:')),
    checks: {
      ...(sessions && sessions !== database && { 'session store': sessions.check }),
      database: database.check,
    },
    // Without Redis, a new worker would answer 503 to visitors whom the other workers could serve.
    connected: () => Promise.all([redis?.connected(2000), database.check().catch(() => {})]),
    close: () => [redis, database].map((each) => each?.close()),
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
    close: redis.close,
  };
}

export function openDatabase(target: DatabaseTarget, _onError: OnError): Promise<Store> {
  if (target.kind === 'sqlite') return openSqlite(target.path);
  throw new TypeError('not yet');
}

async function openSqlite(path: string): Promise<Store> {
  const { DatabaseSync } = await import('node:sqlite');
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  closeSync(openSync(path, 'a', 0o600)); // nobody else may read it
  const open = (synchronous: 'FULL' | 'NORMAL') => {
    const database = new DatabaseSync(path);
    database.exec(`PRAGMA synchronous = ${synchronous}`);
    return database;
  };
  const lasting = open('FULL');
  // A power cut may undo the last changes of sessions and limits, so that they need not wait for the disk.
  const passing = open('NORMAL');
  return {
    backend: (prefix) => sqliteBackend(prefix === 'doc:' ? lasting : passing, prefix),
    check: async () => lasting.prepare('select 1 from records').get(),
    keys: async (prefix) => {
      const select = lasting.prepare('select key from records where key >= ? and key < ?');
      return select.all(prefix, endOf(prefix)).map(({ key }) => String(key));
    },
    close: () => [lasting, passing].map((database) => database.close()),
  };
}

/** The first string after all those that start with `prefix`. */
const endOf = (prefix: string) =>
  prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
