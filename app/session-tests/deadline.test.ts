import assert from 'node:assert/strict';
import { it } from 'node:test';
import { connectTo } from '../../test-support/connect-to.ts';
import { startRedis } from '../../test-support/redis.ts';
import { until } from '../../test-support/until.ts';
import { StoreUnavailable } from '../session/errors.ts';
import { answersWithin } from '../session/stores/deadline.ts';

const stall = (ms: number) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

it('an answer that arrived while this process was stalled is in time', async (t) => {
  const server = await startRedis();
  t.after(server.stop);
  const redis = connectTo(server.url);
  t.after(redis.close);
  await until(() => redis.check().then(() => true), 'connected');
  const answer = answersWithin(1000)(redis.get('coat'));
  await new Promise((resolve) => setImmediate(resolve)); // the question is sent
  stall(1200);
  assert.equal(await answer, null);
});

it('an answer is in time if this process was stalled before it sent the question', async () => {
  // As node-redis does, it sends at the end of the turn. The answer comes some turns later.
  const answer = new Promise((resolve) => setImmediate(() => setTimeout(resolve, 5, 'coat')));
  const inTime = answersWithin(50)(answer);
  stall(300);
  assert.equal(await inTime, 'coat');
});

it('a store that stays silent is given up, however long this process was stalled', async () => {
  const answer = answersWithin(50)(new Promise(() => {}));
  stall(300);
  await assert.rejects(answer, StoreUnavailable);
});
