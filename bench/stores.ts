// npm run bench:stores: how long one read and one write of a session take on each store, side by
// side on this machine. Each server waits for the disk as it does by default.

import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type Backend, memoryBackend, sqliteBackend } from '../app/session/index.ts';
import { startMariadb } from '../test-support/mariadb.ts';
import { startMemcached } from '../test-support/memcached.ts';
import { openTestStore } from '../test-support/open-store.ts';
import { startPostgres } from '../test-support/postgres.ts';
import { startRedis } from '../test-support/redis.ts';
import { tempDir } from '../test-support/temp-dir.ts';

const ROUNDS = 1000;
/** As long as the text of a session with a user and a small cart. */
const padding = 'x'.repeat(300);

await using cleanup = new AsyncDisposableStack();
const sqliteFile = async (synchronous: 'FULL' | 'NORMAL') => {
  const dir = cleanup.use(await tempDir('bench'));
  const database = cleanup.adopt(new DatabaseSync(join(dir.path, 'shop.db')), (d) => d.close());
  database.exec(`PRAGMA synchronous = ${synchronous}`);
  return sqliteBackend(database);
};
const served = async (starting: Promise<{ url: string; stop(): Promise<void> }>) => {
  const server = cleanup.adopt(await starting, (each) => each.stop());
  return cleanup.adopt(await openTestStore(server.url), (each) => each.close()).backend;
};
const backends: Record<string, Backend> = {
  Memory: memoryBackend(),
  'SQLite, synchronous=NORMAL': await sqliteFile('NORMAL'),
  'SQLite, synchronous=FULL': await sqliteFile('FULL'),
  Memcached: await served(startMemcached()),
  'Redis, no file': await served(startRedis()),
  'Redis, appendonly': await served(startRedis({ args: ['--appendonly', 'yes'] })),
  PostgreSQL: await served(startPostgres('fsync=on')),
  MariaDB: await served(startMariadb('--innodb-flush-log-at-trx-commit=1')),
};

const times = new Map(Object.keys(backends).map((name) => [name, [] as number[]]));
// In turn, so that a busy moment of the machine hits all of them.
for (let round = 0; round < ROUNDS; round++)
  for (const [name, backend] of Object.entries(backends)) {
    const start = performance.now();
    await backend.get('coat');
    const next = { version: round + 1, padding };
    await backend.compareAndSet('coat', round, next, 1_800_000);
    times.get(name)?.push(performance.now() - start);
  }

const median = (all: number[] = []) => all.toSorted((a, b) => a - b)[all.length >> 1] ?? 0;
const redis = median(times.get('Redis, no file'));
process.stdout.write(`${new Date().toISOString().slice(0, 10)}, median of ${ROUNDS}\n`);
for (const [name, all] of times) {
  const ms = median(all);
  process.stdout.write(`${name}\t${ms.toFixed(2)} ms\t${(ms / redis).toFixed(1)} x Redis\n`);
}
