// Redis fails in several ways under load, and the shop recovers.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { httpClient } from '../test-support/http-client.ts';
import { startRedis, startRedisCluster } from '../test-support/redis.ts';
import { startServer } from '../test-support/start-server.ts';
import { until } from '../test-support/until.ts';

type Seen = { at: number; ms: number; status: number; retryAfter: string | null };

/**
 * Fifty visitors who read and write until `stop` is called: ten with their own sessions, and forty
 * who share one. One more asks only for /livez, which needs no store: its times show how slow the
 * machine is, outage or not.
 */
async function startLoad(origin: string) {
  const shared = httpClient(origin);
  await shared.get('/');
  const seen: Seen[] = [];
  const over = new AbortController();
  const visit = async (n: number) => {
    const visitor = httpClient(origin, n < 10 ? undefined : shared.cookie);
    for (let step = n; !over.signal.aborted; step++) {
      const at = performance.now();
      const { status, headers } = await (step % 2
        ? visitor.post('/cart/lines', { json: { sku: 'bowler-hat' } })
        : visitor.get('/'));
      // The cart, not the store, refuses the hundredth hat.
      if (status === 409) visitor.cookie = undefined;
      else
        seen.push({
          at,
          ms: performance.now() - at,
          status,
          retryAfter: headers.get('retry-after'),
        });
      await sleep(n < 10 ? 30 : 200);
    }
  };
  const paces: { at: number; ms: number }[] = [];
  const pace = async () => {
    const client = httpClient(origin);
    while (!over.signal.aborted) {
      const at = performance.now();
      await client.get('/livez');
      paces.push({ at, ms: performance.now() - at });
      await sleep(20);
    }
  };
  const visits = Promise.all([pace(), ...Array.from({ length: 50 }, (_, n) => visit(n))]);
  const stop = () => {
    over.abort();
    return visits;
  };
  return { seen, paces, stop };
}

const redis = async () => {
  const server = await startRedis();
  return { ...server, victim: server };
};
const cluster = async () => {
  const servers = await startRedisCluster({ silenceMs: 2000 });
  const [, victim] = servers.nodes;
  assert.ok(victim);
  return { ...servers, victim };
};

type Server = Awaited<ReturnType<typeof startRedis>>;
const kill = {
  fail: (victim: Server) => victim.kill(),
  repair: (victim: Server) => victim.restart(),
};
const hang = { fail: async (v: Server) => v.pause(), repair: async (v: Server) => v.resume() };
const refuse = {
  fail: (victim: Server) => victim.cli('CONFIG', 'SET', 'min-replicas-to-write', '9'),
  repair: (victim: Server) => victim.cli('CONFIG', 'SET', 'min-replicas-to-write', '0'),
};
const full = {
  fail: (victim: Server) => victim.cli('CONFIG', 'SET', 'maxmemory', '1'),
  repair: (victim: Server) => victim.cli('CONFIG', 'SET', 'maxmemory', '0'),
};
type Outage = {
  what: string;
  start: () => Promise<{ url: string; victim: Server; stop(): Promise<void> }>;
  fail: (victim: Server) => Promise<unknown>;
  repair: (victim: Server) => Promise<unknown>;
  backWithinMs: number;
  answersNoPing?: boolean;
};

// `backWithinMs` is 1 s where only the app has to recover, and more where a cluster must agree
// first.
const outages: Outage[] = [
  { what: 'Redis is killed', start: redis, ...kill, backWithinMs: 1000, answersNoPing: true },
  { what: 'Redis hangs', start: redis, ...hang, backWithinMs: 1000, answersNoPing: true },
  { what: 'Redis refuses writes', start: redis, ...refuse, backWithinMs: 1000 },
  { what: 'Redis has no memory left', start: redis, ...full, backWithinMs: 1000 },
  { what: 'a master of a Cluster hangs', start: cluster, ...hang, backWithinMs: 9000 },
  { what: 'a master of a Cluster is killed', start: cluster, ...kill, backWithinMs: 9000 },
];

/** The number that the given share of all does not exceed. */
const quantile = (numbers: number[], share: number) =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length * share)] ?? 0;

for (const { what, start, fail, repair, backWithinMs, answersNoPing = false } of outages)
  it(`when ${what}: responds with 503 within 2 s and then at once, still serves /livez and files, and recovers by itself`, async (t) => {
    const store = await start();
    t.after(store.stop);
    const server = await startServer({ SESSION_STORE: 'redis', REDIS_URL: store.url });
    t.after(server.stop);
    const probe = httpClient(server.origin);
    const isReady = async () => (await probe.get('/readyz')).status === 200;
    await until(isReady, 'ready');
    const load = await startLoad(server.origin);
    await sleep(500);
    await until(async () => load.seen.length > 50, 'visits before the outage');
    assert.ok(load.seen.every(({ status }) => status === 200));

    const failedAt = performance.now();
    /** The time until the check succeeds, in milliseconds. */
    const time = async (...args: Parameters<typeof until>) => {
      const started = performance.now();
      await until(...args);
      return performance.now() - started;
    };
    await fail(store.victim);
    // /readyz need not fail when Redis only refuses writes, or when a cluster loses one of its
    // masters.
    const unready = answersNoPing
      ? await time(async () => !(await isReady()), '/readyz says so')
      : 0;
    const hasFailed = async () => load.seen.some(({ status }) => status === 503);
    await until(hasFailed, 'the first 503');
    await sleep(1000);
    assert.equal((await probe.get('/livez')).status, 200);
    assert.equal((await probe.get('/assets/cloakroom.css')).status, 200);

    await repair(store.victim);
    const writes = async () => (await httpClient(server.origin).get('/')).status === 200;
    const back = await time(writes, 'back', 30_000);
    const ready = await time(isReady, 'ready again');
    await load.stop();

    const during = load.seen.filter(({ at }) => at > failedAt - 2000);
    const statuses = [...new Set(during.map(({ status }) => status))].toSorted();
    assert.deepEqual(statuses, [200, 503]);
    assert.ok(during.every(({ status, retryAfter }) => status === 200 || retryAfter === '2'));
    const paces = load.paces.filter(({ at }) => at > failedAt - 2000).map(({ ms }) => ms);
    // The forty visitors on one session queue behind each other, so on a slow machine a visit takes
    // long even without an outage.
    const before = load.seen.filter(({ at, ms }) => at + ms < failedAt).map(({ ms }) => ms);
    const machine = Math.max(...paces) + Math.max(...before);
    const slowest = Math.max(...during.map(({ ms }) => ms));
    const times = { unready, back, ready, slowest, machine };
    const told = Object.entries(times)
      .map(([name, ms]) => `${name}: ${Math.round(ms)} ms`)
      .join(', ');
    t.diagnostic(told);
    // /readyz tries a write once a second at most, so it may say for a second longer that it failed.
    assert.ok(unready < 1000 + machine && ready < 3000 + machine, told);
    assert.ok(back < backWithinMs + machine, told);
    assert.ok(slowest < 2000 + machine, told);
    const knownAt = Math.min(
      ...during.filter((r) => r.status === 503).map(({ at, ms }) => at + ms),
    );
    const later = load.seen.filter(({ at, status }) => status === 503 && at > knownAt + 100);
    // Most of them are answered about as fast as a slow visit before the outage.
    const usual = Math.max(quantile(paces, 0.5), quantile(before, 0.9));
    const median = quantile(
      later.map(({ ms }) => ms),
      0.5,
    );
    assert.ok(median < usual + 100, `${median} ms once the outage is known, ${usual} ms before`);
    assert.doesNotMatch(server.output(), /Unhandled|Unexpected error/);
  });
