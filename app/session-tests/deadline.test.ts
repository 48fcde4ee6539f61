import assert from 'node:assert/strict';
import { it } from 'node:test';
import { connectTo } from '../../test-support/connect-to.ts';
import { startRedis } from '../../test-support/redis.ts';
import { until } from '../../test-support/until.ts';
import { answersWithin } from '../session/stores/deadline.ts';

it('an answer that arrived while this process was stalled is in time', async (t) => {
  const server = await startRedis();
  t.after(server.stop);
  const redis = connectTo(server.url);
  t.after(redis.close);
  await until(() => redis.check().then(() => true), 'connected');
  const answer = answersWithin(100)(redis.get('coat'));
  await new Promise((resolve) => setImmediate(resolve)); // the question is sent
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  assert.equal(await answer, null);
});
