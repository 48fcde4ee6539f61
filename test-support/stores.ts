import { after, before, describe } from 'node:test';
import { type Backend, memoryBackend, redisBackend } from '../app/session/index.ts';
import type { RedisClient } from '../app/storage/redis-client.ts';
import { connectTo } from './connect-to.ts';
import type { RedisServer } from './redis-server.ts';
import { until } from './until.ts';

export type TestStore = {
  name: string;
  url: string | undefined;
  backend: Backend;
  documents: Backend;
  redis: RedisClient | undefined;
  /**
   * The single Redis server, the masters of the Cluster, or the master that the sentinels watch.
   */
  masters: RedisServer[];
  /** The session stored under this key, parsed. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read whatever fields they stored.
  read(key: string): Promise<any>;
  /** Stores a text in place of a session, as a bug or another app might. */
  plant(key: string, text: string): Promise<void>;
  plantDocument(key: string, text: string): Promise<void>;
};

type Servers = { url: string; masters: RedisServer[]; stop(): Promise<void> };
const starts = {
  memory: undefined,
  Redis: async () => {
    const { startRedis } = await import('./redis.ts');
    const redis = await startRedis();
    return { ...redis, masters: [redis] };
  },
  'Redis Cluster': async () => {
    const { startRedisCluster } = await import('./redis.ts');
    const cluster = await startRedisCluster();
    return { ...cluster, masters: cluster.nodes };
  },
  'Redis Sentinel': async () => {
    const { startRedisSentinel } = await import('./redis.ts');
    const sentinel = await startRedisSentinel();
    return { ...sentinel, masters: [sentinel.master] };
  },
} satisfies Record<string, (() => Promise<Servers>) | undefined>;

export type StoreName = keyof typeof starts;
export const ALL_STORES = Object.keys(starts) as StoreName[];

/** Set where no server may be started: the suites then run on memory only. */
const withoutServers = process.env.TEST_WITHOUT_SERVERS !== undefined;

// Started once for all suites of a test file.
const started = new Map<StoreName, Promise<Servers>>();
after(async () => {
  for (const servers of started.values()) await (await servers).stop();
});

async function emptyServers(name: StoreName): Promise<Servers | undefined> {
  const servers = started.get(name) ?? starts[name]?.();
  if (!servers) return undefined;
  started.set(name, servers);
  for (const master of (await servers).masters) await master.cli('FLUSHALL');
  return servers;
}

/** Runs a suite once on each store, which is empty at first. The Redis stores are real servers. */
export function onEachStore(
  subject: string,
  suite: (store: TestStore) => void,
  names: readonly StoreName[] = ['memory', 'Redis'],
): void {
  for (const name of names) {
    if (withoutServers && name !== 'memory') continue;
    describe(`${subject}, on ${name}`, () => {
      const store = { name } as TestStore;
      before(async () => {
        const servers = await emptyServers(name);
        const redis = servers && connectTo(servers.url);
        store.url = servers?.url;
        store.masters = servers?.masters ?? [];
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
      });
      after(() => store.redis?.close());
      suite(store);
    });
  }
}
