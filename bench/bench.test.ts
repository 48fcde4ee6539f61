import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { startRedis } from '../test-support/redis.ts';
import { until } from '../test-support/until.ts';
import { compete, type Rounds, ratioOf, type Turn } from './contest.ts';
import { type Contestant, entries, startContestants, WORKLOADS } from './contestants.ts';
import { BROWSER, newVisitors, type Visitor, visit } from './load.ts';
import { disturbedMs, faultOf, type Usage } from './machine.ts';
import { tableOf, withTable } from './report.ts';
import { estimate } from './statistics.ts';

const CHANGES_PER_MINUTE = '40';
const working = entries.filter(({ name }) => name.endsWith('work'));

describe('a peer that does the shop’s work', () => {
  const cleanup = new AsyncDisposableStack();
  let peers: Contestant[] = [];

  before(async () => {
    const redis = cleanup.adopt(await startRedis(), ({ stop }) => stop());
    const these = working.map((entry) => ({ ...entry, env: { CHANGES_PER_MINUTE } }));
    peers = await startContestants(redis, cleanup, { these });
  });
  after(() => cleanup.disposeAsync());

  for (const [n, { name }] of working.entries())
    it(`${name}: has headers, a log line, metrics and limits, and loses no change`, async () => {
      const { origin, logFile, startTwin } = peers[n] as Contestant;
      const [visitor] = (await newVisitors(origin, 1)) as [Visitor];

      const { headers } = await visit(origin, 'view', visitor);
      assert.match(headers.get('content-security-policy') ?? '', /default-src 'self'/);
      const id = headers.get('x-request-id') ?? 'none';
      const lines = async () => (await readFile(logFile, 'utf8')).split(id).length - 1;
      await until(async () => (await lines()) > 0, 'its log line');
      assert.equal(await lines(), 1);
      const metrics = await (await fetch(`${origin}/metrics`)).text();
      assert.match(metrics, /request_seconds_count\{method="GET",route="\/",status="200"\} [1-9]/);

      const crossSite = await fetch(`${origin}/cart/lines`, {
        method: 'POST',
        headers: {
          ...BROWSER,
          cookie: visitor.cookie,
          origin: 'https://other.example',
          'sec-fetch-site': 'cross-site',
        },
        body: new URLSearchParams({ sku: 'bowler-hat', quantity: '1' }),
      });
      assert.equal(crossSite.status, 403);

      const twin = await startTwin();
      const adds = Array.from({ length: 20 }, (_, each) =>
        visit(each % 2 ? origin : twin.origin, 'add', visitor),
      );
      await Promise.all(adds);
      const page = await (await visit(origin, 'view', visitor)).text();
      assert.match(page, /<span class="count">20</);

      const addForever = async () => {
        for (let each = 0; each <= Number(CHANGES_PER_MINUTE); each++)
          await visit(origin, 'add', visitor);
      };
      await assert.rejects(addForever, /: 429$/);
    });

  it('is measured between two turns of the app', async () => {
    const options = { sessions: 10, turnMs: 50, warmUpMs: 1, minutes: 0, redisPid: process.pid };
    const results = await compete(peers, { ...options, workloads: ['view'] }, () => {});
    const [a, b, c] = peers.map(({ name }) => name);
    const [round = []] = results.map(({ rounds }) => rounds[0]);
    assert.deepEqual(
      round.map(({ name }) => name),
      [a, b, a, c, a],
    );
    for (const { cpu, rps, p99 } of round) assert.ok(cpu > 0 && rps > 0 && p99 > 0);
  });
});

const turn = (name: string, cpu: number, fault?: Turn['fault']): Turn => {
  return { name, cpu, rps: 1000, p99: 5, fault };
};
const OTHER = 'Other, shop’s work';
const roundsOf = (ratios: number[]): Rounds =>
  ratios.map((ratio) => [turn('Cloakroom', 2), turn(OTHER, 2 * ratio), turn('Cloakroom', 2)]);

it('a ratio compares a turn with its neighbours, and turns with a fault do not count', () => {
  const round = [turn('Cloakroom', 1), turn(OTHER, 4), turn('Cloakroom', 3)];
  assert.equal(ratioOf([round], OTHER).median, 2);
  round[2] = turn('Cloakroom', 3, 'stolen');
  assert.equal(ratioOf([round], OTHER).median, 4);
  round[1] = turn(OTHER, 4, 'disturbed');
  assert.ok(Number.isNaN(ratioOf([round], OTHER).median));
});

it('a turn may lose 2 % of its time to other machines and 10 % to other processes', () => {
  assert.equal(faultOf(500, 10, 50), undefined);
  assert.equal(faultOf(500, 11, 0), 'stolen');
  assert.equal(faultOf(500, 0, 51), 'disturbed');
});

it('a process is disturbed while its threads wait for others, but not for each other', () => {
  const usage = (...threads: [ranMs: number, waitedMs: number][]): Usage => ({
    cpuMs: 0,
    memoryMb: 0,
    threads: new Map(threads.map(([ranMs, waitedMs], id) => [`${id}`, { ranMs, waitedMs }])),
  });
  const earlier = usage([100, 10], [100, 10]);
  assert.equal(disturbedMs(earlier, usage([500, 60], [120, 99])), 30);
  assert.equal(disturbedMs(earlier, usage([500, 30], [120, 99])), 0);
});

it('the interval of a median misses the true median in at most 5 % of all cases', () => {
  const upTo = (n: number) => estimate(Array.from({ length: n }, (_, k) => k + 1));
  // From a table of the sign test, for 20 values.
  assert.deepEqual(upTo(20), { median: 10.5, low: 6, high: 15 });
  assert.deepEqual(upTo(6), { median: 3.5, low: 1, high: 6 });
  assert.deepEqual(upTo(5), { median: 3, low: 0, high: Number.POSITIVE_INFINITY });
});

it('a table says whether the interval reaches the goal, and how many turns were thrown away', () => {
  const textOf = (...ratios: number[]) => tableOf('view', roundsOf(ratios)).text;
  assert.match(textOf(1.6, 1.7, 1.6, 1.7, 1.6, 1.7), /1\.65 \(1\.60–1\.70\).*1\.5: reached/);
  assert.match(textOf(1.2, 1.3, 1.2, 1.3, 1.2, 1.3), /1\.25 \(1\.20–1\.30\).*1\.5: missed/);
  assert.match(textOf(1.4, 1.6, 1.4, 1.6, 1.4, 1.6), /1\.50 \(1\.40–1\.60\).*1\.5: undecided/);
  const rounds = [...roundsOf([2, 2, 2, 2, 2, 2]), [turn(OTHER, 9, 'stolen')]];
  assert.match(tableOf('view', rounds).text, /19 turns\. Thrown away: 1 with stolen time, 0 with/);
});

it('an interval wider than the effect means that the machine is too noisy for a table', () => {
  const { isNoisy, text } = tableOf('view', roundsOf([1, 2, 1, 2, 1, 2]));
  assert.ok(isNoisy);
  assert.match(text, /too noisy for a table: Other, shop’s work 1\.50 \(1\.00–2\.00\)\./);
  assert.doesNotMatch(text, /\|/);
  assert.ok(!tableOf('view', roundsOf([0.9, 1.2, 0.9, 1.2, 0.9, 1.2])).isNoisy);
});

it('a new table takes the place of its earlier version in docs/bench.md, and the others stay', async () => {
  const page = await readFile(new URL('../docs/bench.md', import.meta.url), 'utf8');
  const partsOf = (text: string) => text.split(/(?=\n### |\n<!-- )/);
  const parts = partsOf(page);
  for (const workload of WORKLOADS) {
    const table = tableOf(workload, roundsOf([2, 2, 2, 2, 2, 2]));
    const renewed = partsOf(withTable(page, table));
    const changed = renewed.filter((part, n) => part !== parts[n]);
    assert.deepEqual(
      changed.map((part) => part.trim()),
      [table.text],
    );
    assert.equal(renewed.length, parts.length);
  }
});
