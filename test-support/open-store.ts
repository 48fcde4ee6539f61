import { DatabaseSync } from 'node:sqlite';
import { type Backend, memoryBackend, redisBackend, sqliteBackend } from '../app/session/index.ts';
import type { RedisClient } from '../app/storage/redis-client.ts';
import { connectTo } from './connect-to.ts';
import { until } from './until.ts';

export type OpenStore = {
  backend: Backend;
  documents: Backend;
  redis?: RedisClient;
  /** Stores a text under the whole key, as a bug or another app might. */
  plant(key: string, text: string): Promise<void>;
  /** Deletes everything. */
  empty(): Promise<void>;
  close(): Promise<void>;
};

/** What a planted text has in the column `version` of a database. */
function plantedVersion(text: string): number {
  try {
    return JSON.parse(text).version ?? -1;
  } catch {
    return -1;
  }
}

const openers: Record<string, (url: string) => Promise<OpenStore>> = {
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
};

/** One process's access to the store at `url`. */
export function openStore(url: string): Promise<OpenStore> {
  const open = openers[/^[a-z]+/.exec(url)?.[0] ?? ''];
  if (!open) throw new TypeError(`No store at ${url}`);
  return open(url);
}
