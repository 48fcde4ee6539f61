import { after, before, describe } from 'node:test';
import { type Backend, memoryBackend, redisBackend } from '../app/session/index.ts';
import type { RedisClient } from '../app/storage/redis-client.ts';
import { connectTo } from './connect-to.ts';
import { startRedis, startRedisCluster, startRedisSentinel } from './redis.ts';
import { until } from './until.ts';

export type TestStore = {
  name: string;
  url: string | undefined;
  backend: Backend;
  documents: Backend;
  redis: RedisClient | undefined;
  /** The session stored under this key, parsed. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read whatever fields they stored.
  read(key: string): Promise<any>;
  /** Puts a text where a session would be, as a bug or another app might. */
  plant(key: string, text: string): Promise<void>;
  plantDocument(key: string, text: string): Promise<void>;
};

const servers = {
  memory: undefined,
  Redis: startRedis,
  'Redis Cluster': startRedisCluster,
  'Redis Sentinel': startRedisSentinel,
};

export type StoreName = keyof typeof servers;
export const ALL_STORES = Object.keys(servers) as StoreName[];

/** Runs a suite once for each store; the Redis ones are real servers, started for it. */
export function onEachStore(
  subject: string,
  suite: (store: TestStore) => void,
  names: readonly StoreName[] = ['memory', 'Redis'],
): void {
  for (const name of names) {
    describe(`${subject}, on ${name}`, () => {
      const store = { name } as TestStore;
      let stop = async () => {};
      before(async () => {
        const server = await servers[name]?.();
        const redis = server && connectTo(server.url);
        store.url = server?.url;
        store.redis = redis;
        const [sessions, documents] = [new Map<string, string>(), new Map<string, string>()];
        store.backend = redis ? redisBackend(redis) : memoryBackend(sessions);
        store.documents = redis ? redisBackend(redis, 'doc:') : memoryBackend(documents);
        store.read = async (key) =>
          JSON.parse((await store.backend.get(key)) ?? 'null') ?? undefined;
        const planting =
          (prefix: string, memory: Map<string, string>) => async (key: string, text: string) => {
            const set = "return redis.call('SET', KEYS[1], ARGV[1])";
            if (redis) await redis.eval(set, { keys: [prefix + key], arguments: [text] });
            else memory.set(key, text);
          };
        store.plant = planting('sess:', sessions);
        store.plantDocument = planting('doc:', documents);
        if (redis) await until(() => redis.check().then(() => true), `connected to ${name}`);
        stop = async () => {
          redis?.close();
          await server?.stop();
        };
      });
      after(() => stop());
      suite(store);
    });
  }
}
