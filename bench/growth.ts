// npm run bench:growth: measures how the cost of a request grows with the load. Takes five minutes.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createClient } from 'redis';
import { demoProducts } from '../config/demo-data.ts';
import { httpClient } from '../test-support/http-client.ts';
import { startRedis } from '../test-support/redis.ts';
import { run } from '../test-support/run.ts';
import { startServer } from '../test-support/start-server.ts';
import { type Load, load, newVisitors, type Visitor, visit, type Workload } from './load.ts';
import {
  family,
  loadCore,
  pin as pinTo,
  redisCore,
  serverCore,
  spareCore,
  usageOf,
} from './machine.ts';
import { medianOf as median } from './statistics.ts';

const print = (line: string) => process.stdout.write(`${line}\n`);
const pin = (cores: string, pid: number) => pinTo(cores, pid).catch(() => print('not pinned'));

await using cleanup = new AsyncDisposableStack();
await pin(redisCore, process.pid);
const redis = await startRedis();
cleanup.defer(redis.stop);
await pin(loadCore, process.pid);
const client = createClient({ url: redis.url });
await client.connect();
cleanup.defer(() => client.destroy());
const pidOf = async (server: typeof client) =>
  Number(/process_id:(\d+)/.exec(await server.info('server'))?.[1]);
const redisPid = await pidOf(client);

async function startApp(env: Record<string, string> = {}, cores = [serverCore]) {
  const app = await startServer({
    NODE_ENV: 'production',
    SESSION_STORE: 'redis',
    REDIS_URL: redis.url,
    SESSION_SECRET: 'a-secret-that-is-long-enough-for-production',
    TRUST_PROXY: '1',
    DEMO_ACCOUNTS: 'on',
    ...env,
  });
  const workers = (await run('pgrep', ['-P', `${app.pid}`])).trim().split('\n');
  for (const [n, pid] of [app.pid, ...workers].entries())
    await pin(cores[Math.max(0, n - 1)] as string, Number(pid));
  return app;
}
type App = Awaited<ReturnType<typeof startApp>>;

type Cost = { app: number; redis: number; rps: number };

/** CPU time per request in ms, of the app and of Redis, and requests a second, while `asking` runs. */
async function costOf(app: App, asking: () => Promise<Load[]>, store = redisPid): Promise<Cost> {
  const used = () => {
    const [ours, theirs] = [usageOf(...family(app.pid)), usageOf(store)];
    return { app: ours.cpuMs, redis: theirs.cpuMs };
  };
  const before = used();
  const loads = await asking();
  const after = used();
  const sum = (key: 'requests' | 'rps') => loads.reduce((total, each) => total + each[key], 0);
  const each = (who: 'app' | 'redis') => (after[who] - before[who]) / sum('requests');
  return { app: each('app'), redis: each('redis'), rps: sum('rps') };
}

const mediansOf = (seconds: Cost[]): Cost => {
  const of = (key: keyof Cost) => median(seconds.map((second) => second[key]));
  return { app: of('app'), redis: of('redis'), rps: of('rps') };
};

/** Measures two alternately, eleven times. Returns the medians of both and of their ratios. */
async function inTurns(one: () => Promise<Cost>, two: () => Promise<Cost>) {
  const rounds: [one: Cost, two: Cost][] = [];
  for (let n = 0; n < 11; n++) rounds.push([await one(), await two()]);
  const ratio = (key: keyof Cost) => median(rounds.map(([a, b]) => b[key] / a[key])).toFixed(2);
  return {
    one: mediansOf(rounds.map(([a]) => a)),
    two: mediansOf(rounds.map(([, b]) => b)),
    ratios: `${ratio('app')} times the CPU time per request, ${ratio('rps')} times the requests`,
  };
}

/** The medians of five runs of one second each. */
async function medianCost(app: App, workload: Workload, visitors: readonly Visitor[]) {
  await load(app.origin, workload, visitors, 5000); // warm
  const seconds: Cost[] = [];
  for (let n = 0; n < 5; n++)
    seconds.push(await costOf(app, async () => [await load(app.origin, workload, visitors, 1000)]));
  return mediansOf(seconds);
}

const tell = (what: string, { app, redis: store, rps }: Cost) =>
  print(
    `${what.padEnd(28)} CPU per request: app ${app.toFixed(3)} ms, Redis ${store.toFixed(3)} ms; ${Math.round(rps)} requests/s`,
  );

await carts();
await sessionsOfAnAccount();
await processes();

async function carts(): Promise<void> {
  print('\nProducts in the cart');
  const app = await startApp();
  const visitors = await newVisitors(app.origin, 200);
  tell('none', await medianCost(app, 'view', visitors));
  for (const [n, { sku }] of demoProducts.entries()) {
    for (const { cookie, address } of visitors)
      await httpClient(app.origin, cookie).post('/cart/lines', {
        json: { sku },
        headers: { 'x-forwarded-for': address, 'x-forwarded-proto': 'https' },
      });
    if (n === 0 || n === demoProducts.length - 1)
      tell(`${n + 1}`, await medianCost(app, 'view', visitors));
  }
  await app.stop();
  await client.flushDb();
}

async function sessionsOfAnAccount(): Promise<void> {
  print('\nSessions of one account');
  const app = await startApp();
  const members: Visitor[] = [];
  for (let n = 1; n <= 10; n++) {
    const [visitor] = (await newVisitors(app.origin, 1)) as [Visitor];
    await visit(app.origin, 'log-in', visitor);
    members.push(visitor);
    // Only one session sends requests, however many the account has.
    if (n === 1 || n === 10) tell(`${n}`, await medianCost(app, 'member', members.slice(0, 1)));
  }
  await app.stop();
  await client.flushDb();
}

/** Compares one process with two, alternately. Each process has its own core and its own load. */
async function processes(): Promise<void> {
  const cores = [serverCore, spareCore ?? loadCore];
  print(`\nProcesses${spareCore ? '' : ', of which the second shares its core with the load'}`);
  const loaders = [loadCore, redisCore].map((core) => {
    const loader = fork(join(import.meta.dirname, 'load-process.ts'));
    cleanup.defer(() => void loader.kill());
    return { core, loader };
  });
  for (const { core, loader } of loaders) await pin(core, loader.pid as number);
  const contestants = [];
  for (const workers of [1, 2]) {
    const app = await startApp({ WEB_CONCURRENCY: `${workers}` }, cores.slice(0, workers));
    const visitors = await newVisitors(app.origin, 1000);
    const ask = (ms: number) => () =>
      Promise.all(
        loaders.slice(0, workers).map(async ({ loader }) => {
          loader.send([app.origin, 'view', visitors, ms]);
          const [answer] = await once(loader, 'message');
          return answer as Load;
        }),
      );
    await ask(3000)();
    contestants.push({ app, cost: () => costOf(app, ask(1000)) });
  }
  const [single, double] = contestants as [(typeof contestants)[0], (typeof contestants)[0]];
  const { one, two, ratios } = await inTurns(single.cost, double.cost);
  for (const { app } of contestants) await app.stop();
  tell('1', one);
  tell('2', two);
  print(`with two: ${ratios}`);
  await client.flushDb();
}
