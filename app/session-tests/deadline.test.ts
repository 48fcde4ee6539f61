import assert from 'node:assert/strict';
import { it } from 'node:test';
import { connectTo } from '../../test-support/connect-to.ts';
import { startRedis } from '../../test-support/redis.ts';
import { until } from '../../test-support/until.ts';
import { StoreUnavailable } from '../session/errors.ts';
import { answersWithin } from '../session/stores/deadline.ts';

for (const [when, isSent] of [
  ['that arrived while', true],
  ['to a question that was asked just before', false],
] as const)
  it(`an answer ${when} this process was stalled is in time`, async (t) => {
    const server = await startRedis();
    t.after(server.stop);
    const redis = connectTo(server.url);
    t.after(redis.close);
    await until(() => redis.check().then(() => true), 'connected');
    const answer = answersWithin(1000)(redis.get('coat'));
    if (isSent) await new Promise((resolve) => setImmediate(resolve));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1200);
    assert.equal(await answer, null);
  });

it('a store that stays silent is given up, however long this process was stalled', async () => {
  const answer = answersWithin(50)(new Promise(() => {}));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  await assert.rejects(answer, StoreUnavailable);
});
