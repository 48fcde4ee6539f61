import assert from 'node:assert/strict';
import { it } from 'node:test';
import { redisKilled, roll, runSoak } from './run-soak.ts';

it('a short soak with a killed Redis and an update finds every acknowledged change', async () => {
  const { phases, acknowledged, problems } = await runSoak({
    seconds: 1,
    events: [redisKilled, roll],
  });
  assert.deepEqual(problems, []);
  assert.ok(acknowledged.changes > 100 && acknowledged.logOuts >= 12, JSON.stringify(acknowledged));
  const [quiet, killed, rolled] = phases;
  assert.ok(killed && killed.refused > 0);
  assert.deepEqual([quiet?.refused, rolled?.refused], [0, 0]);
});

it('the soak reports what a Redis without persistence loses', async () => {
  const options = { seconds: 1, events: [redisKilled], workers: 1 };
  const { problems } = await runSoak({ ...options, persistence: [] });
  // Some visitors have lost a cart, some their log-in, or both.
  const lost = problems.filter((each) => /the cart holds \d+, not|greets null/.test(each));
  assert.ok(lost.length > 0, problems.join('\n'));
});
