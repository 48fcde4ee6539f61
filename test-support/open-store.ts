import { DatabaseSync } from 'node:sqlite';
import {
  type Backend,
  MYSQL_SCHEMA,
  memcachedBackend,
  memoryBackend,
  mysqlBackend,
  postgresBackend,
  redisBackend,
  sqliteBackend,
} from '../app/session/index.ts';
import { connectMemcached, connectMysql, connectPostgres } from '../app/storage/drivers.ts';
import type { RedisClient } from '../app/storage/redis-client.ts';
import { connectTo } from './connect-to.ts';
import { until } from './until.ts';

export type OpenedStore = {
  backend: Backend;
  documents: Backend;
  redis?: RedisClient;
  /** Stores a text under the whole key, as a bug or another app might. */
  plant(key: string, text: string): Promise<void>;
  /** Deletes everything. */
  empty(): Promise<void>;
  close(): Promise<void>;
};

/** The version that a database stores beside a planted text. */
function plantedVersion(text: string): number {
  try {
    return JSON.parse(text).version ?? -1;
  } catch {
    return -1;
  }
}

const openers: Record<string, (url: string, connectMs: number) => Promise<OpenedStore>> = {
  redis: async (url) => {
    const redis = connectTo(url);
    await until(() => redis.check().then(() => true), `connected to ${url}`);
    return {
      backend: redisBackend(redis),
      documents: memoryBackend(), // not in Redis
      redis,
      plant: async (key, text) => {
        const set = "return redis.call('SET', KEYS[1], ARGV[1])";
        await redis.eval(set, { keys: [key], arguments: [text] });
      },
      empty: async () => {
        await Promise.all((await redis.keys('')).map((key) => redis.del([key])));
      },
      close: async () => redis.close(),
    };
  },
  sqlite: async (url) => {
    const database = new DatabaseSync(url.slice('sqlite:'.length));
    return {
      backend: sqliteBackend(database),
      documents: sqliteBackend(database, 'doc:'),
      plant: async (key, text) => {
        const set = 'insert or replace into records (key, version, text) values (?, ?, ?)';
        database.prepare(set).run(key, plantedVersion(text), text);
      },
      empty: async () => database.exec('delete from records'),
      close: async () => database.close(),
    };
  },
  postgres: async (url, connectMs) => {
    const pool = await connectPostgres(url, () => {}, connectMs);
    await until(() => pool.query('select').then(() => true), `connected to ${url}`);
    const backend = postgresBackend(pool);
    return {
      backend,
      documents: postgresBackend(pool, 'doc:'),
      plant: async (key, text) => {
        const set = `insert into records values ($1, $2, $3) on conflict (key)
          do update set version = excluded.version, text = excluded.text`;
        await pool.query(set, [key, plantedVersion(text), text]);
      },
      empty: async () => {
        await backend.get(''); // makes the table
        await pool.query('delete from records');
      },
      close: () => pool.end(),
    };
  },
  mysql: async (url, connectMs) => {
    const pool = await connectMysql(url, () => {}, connectMs);
    await until(() => pool.query('select 1').then(() => true), `connected to ${url}`);
    return {
      backend: mysqlBackend(pool),
      documents: mysqlBackend(pool, 'doc:'),
      plant: async (key, text) => {
        const set = 'replace into records (`key`, version, text) values (?, ?, ?)';
        await pool.query(set, [key, plantedVersion(text), text]);
      },
      empty: async () => {
        await pool.query(MYSQL_SCHEMA);
        await pool.query('delete from records');
      },
      // As in app/storage/open-stores.ts.
      close: async () => void pool.end().catch(() => {}),
    };
  },
  memcached: async (url) => {
    const client = await connectMemcached(url);
    return {
      backend: memcachedBackend(client),
      documents: memcachedBackend(client, 'doc:'),
      plant: async (key, text) => {
        await client.set(key, text, { lifetime: 0 });
      },
      empty: async () => {
        await client.cmd('flush_all');
      },
      close: async () => client.shutdown(),
    };
  },
  /** The backend in a file: docs/stores.md says what the file exports. */
  file: async (url) => {
    const own = await (await import(url)).default();
    return {
      backend: own,
      documents: own,
      plant: (key, text) => own.plant(key.replace(/^(sess|doc):/, ''), text),
      empty: async () => {},
      close: async () => own.close?.(),
    };
  },
};

/**
 * One process's access to the store at `url`.
 * @param connectMs how long a call waits for a connection. A test process that is stalled for longer than
 *   the app's own limit fails all calls that wait
 */
export function openTestStore(url: string, connectMs = 30_000): Promise<OpenedStore> {
  const open = openers[/^[a-z]+/.exec(url)?.[0] ?? ''];
  if (!open) throw new TypeError(`No store at ${url}`);
  return open(url, connectMs);
}
