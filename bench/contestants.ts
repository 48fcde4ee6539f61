import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { startChild } from '../test-support/child.ts';
import { freePort } from '../test-support/free-port.ts';
import type { RedisServer } from '../test-support/redis.ts';
import { run } from '../test-support/run.ts';
import { ADA } from '../test-support/start-shop.ts';
import { tempDir } from '../test-support/temp-dir.ts';
import { until } from '../test-support/until.ts';
import { BROWSER, newVisitors, type Visitor, visit, type Workload } from './load.ts';
import { writeTutorialViews } from './peers/views.ts';
import { type Usage, usageOf } from './usage.ts';

/** One of the apps compared. */
type Entry = { name: string; args: string[]; env?: Record<string, string>; can: Workload[] };

const everything: Workload[] = ['view', 'member', 'first', 'add', 'log-in'];

const entries: Entry[] = [
  { name: 'tutorial', args: ['bench/peers/tutorial.ts'], can: [...everything, 'static'] },
  {
    name: 'careful tutorial',
    args: ['bench/peers/tutorial.ts', 'careful'],
    can: [...everything, 'static'],
  },
  { name: 'Fastify', args: ['bench/peers/fastify.ts'], can: everything },
  { name: 'Hono', args: ['bench/peers/hono.ts'], can: everything },
  { name: 'node:http', args: ['bench/peers/bare.ts'], can: ['view'] },
  { name: 'node:http, headers, log', args: ['bench/peers/bare.ts', 'headers'], can: ['view'] },
  { name: 'Express, app/session', args: ['bench/peers/copied.ts'], can: ['view', 'first'] },
  {
    name: 'Cloakroom',
    args: ['app/server.ts'],
    env: {
      SESSION_STORE: 'redis',
      SESSION_SECRET: 'a-secret-that-is-as-long-as-those-of-the-peers',
      TRUST_PROXY: '1',
      DEMO_ACCOUNTS: 'on',
    },
    can: [...everything, 'static'],
  },
];

export type Contestant = Entry & {
  origin: string;
  /** Bytes of the page that a returning visitor gets. */
  pageBytes: number;
  usage: () => Promise<Usage>;
  /** redis-cli on its own database. */
  cli: (...words: string[]) => Promise<string>;
  stop: () => Promise<void>;
};

const cores = availableParallelism();

/**
 * `BENCH_CORES=2,3,1,0`: the cores for the app under test, the load, Redis and a second process, in that
 * order. With fewer cores, Redis shares the load's core, and the second process has none of its own.
 */
export const [serverCore, loadCore, redisCore = loadCore, spareCore] = (
  process.env.BENCH_CORES?.split(',') ??
  [cores - 2, cores - 1, cores - 3, cores - 4].filter((core) => core >= 0)
).map(String) as [string, string, string?, string?];

/** Pins a process, and those it starts from now on, to `core`. Rejects if the system cannot do this. */
export const pinTo = (core: string, pid: number) => run('taskset', ['-acp', core, `${pid}`]);

/** Starts them all on one Redis, each with its own database, and proves that each does its work. */
export async function startContestants(redis: RedisServer, pin: boolean): Promise<Contestant[]> {
  const starts = entries.map((entry, n) => start(entry, redis, n, pin));
  const contestants = await Promise.all(starts).catch(async (error: unknown) => {
    for (const one of await Promise.allSettled(starts))
      if (one.status === 'fulfilled') await one.value.stop();
    throw error;
  });
  const ours = contestants.at(-1)?.pageBytes ?? 0;
  for (const { name, pageBytes } of contestants)
    if (Math.abs(pageBytes / ours - 1) > 0.05)
      throw new Error(`${name}: the page has ${pageBytes} bytes, but the shop’s has ${ours}`);
  return contestants;
}

async function start(
  entry: Entry,
  redis: RedisServer,
  database: number,
  pin: boolean,
): Promise<Contestant> {
  const temp = await tempDir('bench');
  const views = join(temp.path, 'views');
  await writeTutorialViews(views);
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  // Standard output goes into a file, as in production: the load generator would have to read a pipe.
  const command = [...(pin ? ['taskset', '-c', serverCore] : []), process.execPath, ...entry.args];
  const child = await startChild(
    'sh',
    ['-c', `exec "$@" >"${join(temp.path, 'log')}"`, 'sh', ...command],
    {
      env: {
        NODE_ENV: 'production',
        PORT: String(port),
        TUTORIAL_VIEWS: views,
        REDIS_URL: `redis://127.0.0.1:${redis.port}/${database}`,
        DATABASE_URL: `sqlite:${join(temp.path, 'shop.db')}`,
        ...entry.env,
      },
      cwd: join(import.meta.dirname, '..'),
      ready: async () => (await fetch(origin, { headers: BROWSER })).status < 500,
      name: entry.name,
    },
  );
  const cli = (...words: string[]) => redis.cli('-n', String(database), ...words);
  const stop = async () => {
    await child.stop();
    await temp[Symbol.asyncDispose]();
  };
  const pageBytes = await prove(entry, origin, cli).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return {
    ...entry,
    origin,
    pageBytes,
    cli,
    stop,
    usage: () => usageOf(child.pid),
  };
}

/** Checks that the page and Redis count a view, and that Redis gets a cart line and a user. */
async function prove(
  { name, can }: Entry,
  origin: string,
  cli: Contestant['cli'],
): Promise<number> {
  await cli('FLUSHDB');
  const [visitor] = (await newVisitors(origin, 1)) as [Visitor];
  const stored = async () => {
    const keys = (await cli('KEYS', 'sess:*')).split('\n').filter((key) => !key.includes('moved'));
    const texts = await Promise.all(keys.map((key) => cli('GET', key)));
    return texts.map((text) => JSON.parse(text));
  };
  const check = (isTrue: boolean, what: string) => {
    if (!isTrue) throw new Error(`${name}: ${what}`);
  };
  for (const views of [2, 3]) {
    const page = await (await visit(origin, 'view', visitor)).text();
    check(page.includes(`Views: ${views}<`), `the page does not count view ${views}`);
    await until(
      async () => (await stored()).some((session) => session.views === views),
      `${name}: ${views} views in Redis`,
    );
  }
  const page = await (await visit(origin, 'view', visitor)).arrayBuffer();
  if (!can.includes('add')) return page.byteLength;
  await visit(origin, 'add', visitor);
  await until(
    async () => (await stored()).some(({ cart = {} }) => Object.keys(cart).length === 1),
    `${name}: the cart`,
  );
  await visit(origin, 'log-in', visitor);
  const isAda = async () => (await stored()).some(({ user }) => user?.email === ADA.email);
  await until(isAda, `${name}: the user`);
  return page.byteLength;
}

/** The bytes in Redis for a logged-in session with one cart line, keys included. */
export async function sessionBytes({ origin, cli }: Contestant): Promise<number> {
  await cli('FLUSHDB');
  const visitor = { address: '10.1.1.1', cookie: '', token: '' };
  for (const workload of ['log-in', 'add'] as const) await visit(origin, workload, visitor);
  const keys = (await cli('KEYS', '*')).split('\n').filter((key) => /^(sess|doc:cart):/.test(key));
  const bytes = await Promise.all(
    keys.map(async (key) => Number(await cli('MEMORY', 'USAGE', key))),
  );
  return bytes.reduce((sum, n) => sum + n, 0);
}
