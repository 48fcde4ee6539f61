import assert from 'node:assert/strict';
import { join } from 'node:path';
import { startChild } from '../test-support/child.ts';
import { freePort } from '../test-support/free-port.ts';
import type { RedisServer } from '../test-support/redis.ts';
import { tempDir } from '../test-support/temp-dir.ts';
import { BROWSER, newVisitors, type Visitor, visit, type Workload } from './load.ts';

/** One of the apps compared. */
type Entry = { name: string; args: string[]; can: readonly Workload[]; env?: NodeJS.ProcessEnv };

export const WORKLOADS = ['view', 'member', 'add'] as const;
const peer = (name: string, file: string): Entry[] => [
  { name, args: [`bench/peers/${file}`], can: WORKLOADS },
  { name: `${name}, shop’s work`, args: [`bench/peers/${file}`, 'work'], can: WORKLOADS },
];

export const OURS = 'Cloakroom';
export const entries: Entry[] = [
  {
    name: OURS,
    args: ['app/server.ts'],
    env: {
      SESSION_STORE: 'redis',
      SESSION_SECRET: 'a-secret-that-is-as-long-as-those-of-the-peers',
      TRUST_PROXY: '1',
      DEMO_ACCOUNTS: 'on',
    },
    can: WORKLOADS,
  },
  ...peer('Express tutorial', 'tutorial.ts'),
  ...peer('Fastify', 'fastify.ts'),
  ...peer('Hono', 'hono.ts'),
  { name: 'Express, app/session', args: ['bench/peers/copied.ts'], can: ['view'] },
];

export type Contestant = Awaited<ReturnType<typeof start>>;

/** Starts these apps on one Redis, each with its own database, and proves that each does its work. */
export async function startContestants(
  redis: RedisServer,
  cleanup: AsyncDisposableStack,
  { core, these = entries }: { core?: string; these?: readonly Entry[] } = {},
): Promise<Contestant[]> {
  const pinned = core ? ['taskset', '-c', core] : [];
  const contestants = await Promise.all(
    these.map((entry, n) => start(entry, `redis://127.0.0.1:${redis.port}/${n}`, pinned, cleanup)),
  );
  const sizes = await Promise.all(contestants.map(prove));
  for (const [n, { name }] of contestants.entries()) {
    const ratio = (sizes[n] ?? 0) / (sizes[0] ?? 0);
    assert.ok(Math.abs(ratio - 1) < 0.05, `${name}: the page has ${ratio} times the bytes`);
  }
  return contestants;
}

async function start(
  entry: Entry,
  redisUrl: string,
  pinned: string[],
  cleanup: AsyncDisposableStack,
) {
  const { path } = cleanup.use(await tempDir('bench'));
  // Standard output goes into a file, as in production: the load generator would have to read a pipe.
  const logFile = join(path, 'log');
  const command = [...pinned, process.execPath, ...entry.args];
  const launch = async () => {
    const port = await freePort();
    const origin = `http://127.0.0.1:${port}`;
    const child = await startChild('sh', ['-c', `exec "$@" >>"${logFile}"`, 'sh', ...command], {
      env: {
        NODE_ENV: 'production',
        PORT: String(port),
        REDIS_URL: redisUrl,
        DATABASE_URL: `sqlite:${join(path, 'shop.db')}`,
        ...entry.env,
      },
      cwd: join(import.meta.dirname, '..'),
      ready: async () => (await fetch(origin, { headers: BROWSER })).status < 500,
      name: entry.name,
    });
    cleanup.defer(async () => void (await child.stop()));
    return { origin, pid: child.pid };
  };
  return { ...entry, ...(await launch()), logFile, startTwin: launch };
}

/** Checks that the page counts views and cart lines and knows the user. Returns its size in bytes. */
async function prove({ name, origin, can }: Contestant): Promise<number> {
  const [visitor] = (await newVisitors(origin, 1)) as [Visitor];
  const see = async (workload: Workload, ...parts: string[]) => {
    const page = await (await visit(origin, workload, visitor)).text();
    for (const part of parts) assert.ok(page.includes(part), `${name}: no ${part} in the page`);
    return page.length;
  };
  await see('view', 'Views: 2<');
  const size = await see('view', 'Views: 3<');
  if (!can.includes('add')) return size;
  await visit(origin, 'add', visitor);
  await see('view', 'Views: 4<', '<span class="count">1<');
  await visit(origin, 'add', visitor);
  await see('view', '<span class="count">2<');
  await visit(origin, 'log-in', visitor);
  await see('member', '</span>Ada', '<span class="count">2<');
  return size;
}
