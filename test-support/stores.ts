import { after, before, describe } from 'node:test';
import { type Backend, memoryBackend } from '../app/session/index.ts';
import type { RedisClient } from '../app/storage/redis-client.ts';
import { type OpenedStore, openTestStore } from './open-store.ts';
import type { RedisServer } from './redis-server.ts';
import type { StoreServer } from './running-server.ts';
import { tempDatabase } from './temp-dir.ts';

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

type Servers = { url: string; masters?: RedisServer[]; stop(): Promise<void> };
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
  SQLite: tempDatabase,
  PostgreSQL: async () => (await import('./postgres.ts')).startPostgres(),
  MariaDB: async () => (await import('./mariadb.ts')).startMariadb(),
  Memcached: async () => (await import('./memcached.ts')).startMemcached(),
} satisfies Record<string, (() => Promise<Servers>) | undefined>;

export type StoreName = keyof typeof starts;
/** The stores that share a test file. Each other store has its own file, which imports the suites. */
export const COMMON_STORES: readonly StoreName[] = [
  'memory',
  'Redis',
  'Redis Cluster',
  'Redis Sentinel',
  'SQLite',
];
/** Those that can hold documents. PostgreSQL and MariaDB can, too, but few tests need them. */
export const DOCUMENT_STORES: readonly StoreName[] = ['memory', 'SQLite'];

/** The only store to test, if there is one: its name, or the URL of a file that exports a backend. */
let only = process.env.TEST_STORE as StoreName | undefined;
export function testOnly(name: StoreName): void {
  only = name;
}

/** Set where no server may be started: the suites then run on memory only. */
const withoutServers = process.env.TEST_WITHOUT_SERVERS !== undefined;

// Started once for all suites of a test file.
const started = new Map<StoreName, Promise<Servers>>();
after(async () => {
  for (const servers of started.values()) await (await servers).stop();
});

/** The server that the suites of this file share. */
export const serverOf = (name: 'PostgreSQL' | 'MariaDB' | 'Memcached') =>
  serversOf(name) as Promise<StoreServer>;

async function serversOf(name: StoreName): Promise<Servers | undefined> {
  if (name.startsWith('file:')) return { url: name, stop: async () => {} };
  const servers = started.get(name) ?? starts[name]?.();
  if (servers) started.set(name, servers);
  return servers;
}

function openMemory(): OpenedStore {
  const texts = { 'sess:': new Map<string, string>(), 'doc:': new Map<string, string>() };
  const [sessions, documents] = [memoryBackend(texts['sess:']), memoryBackend(texts['doc:'])];
  return {
    backend: sessions,
    documents,
    plant: async (key, text) => {
      for (const [prefix, each] of Object.entries(texts))
        if (key.startsWith(prefix)) each.set(key.slice(prefix.length), text);
    },
    empty: async () => {},
    close: async () => {},
  };
}

/** Runs a suite once on each store, which is empty at first. The servers are real. */
export function onEachStore(
  subject: string,
  suite: (store: TestStore) => void,
  names: readonly StoreName[] = ['memory', 'Redis'],
): void {
  for (const name of only ? [only] : names) {
    if (withoutServers && name !== 'memory') continue;
    describe(`${subject}, on ${name}`, () => {
      const store = { name } as TestStore;
      let open: OpenedStore;
      before(async () => {
        const servers = await serversOf(name);
        open = servers ? await openTestStore(servers.url) : openMemory();
        await open.empty();
        const { backend, documents, redis } = open;
        const { url, masters = [] } = servers ?? {};
        Object.assign(store, { url, masters, backend, documents, redis });
        store.read = async (key) => JSON.parse((await backend.get(key)) ?? 'null') ?? undefined;
        store.plant = (key, text) => open.plant(`sess:${key}`, text);
        store.plantDocument = (key, text) => open.plant(`doc:${key}`, text);
      });
      after(() => open?.close());
      suite(store);
    });
  }
}
