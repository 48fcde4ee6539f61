import assert from 'node:assert/strict';
import { it } from 'node:test';
import { startRedis } from '../test-support/redis.ts';
import { compete, ratioOf, spreadOf } from './contest.ts';
import { startContestants } from './contestants.ts';
import { chart, tables } from './report.ts';

it('the bench proves that each contestant counts and stores, and compares them', async (t) => {
  const redis = await startRedis();
  t.after(redis.stop);
  const contestants = await startContestants(redis, false);
  t.after(() => Promise.all(contestants.map(({ stop }) => stop())));
  assert.equal(contestants.length, 8);
  const options = {
    rounds: 1,
    ms: 100,
    warmUpMs: 100,
    sessions: 40,
    workloads: ['view', 'add', 'static'],
  } as const;
  const results = await compete(contestants, options, () => {});
  for (const { name, can } of contestants)
    for (const workload of options.workloads.filter((one) => can.includes(one)))
      assert.ok(results[workload]?.[name]?.[0]?.rps, `${name}: ${workload}`);
  // An app that loads, counts and stores is slower than the bare upper bound.
  const { median } = ratioOf(results, 'view', 'cpu', 'tutorial', 'node:http');
  assert.ok(!Number.isFinite(median) || median > 1, `${median}`);
  const text = tables(results, { sessionBytes: 1, memoryMb: 1 });
  for (const { name } of contestants) assert.match(text, new RegExp(`^\\| ${name} \\| \\d`, 'm'));
  assert.match(chart(results), /^<svg [\s\S]*Cloakroom[\s\S]*<\/svg>\n$/);
});

it('a spread is the median, the minimum and the maximum', () => {
  assert.deepEqual(spreadOf([3, 1, 2]), { median: 2, least: 1, most: 3 });
  assert.deepEqual(spreadOf([4, 1, 2, 3]), { median: 2.5, least: 1, most: 4 });
});
