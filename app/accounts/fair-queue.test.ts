import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setImmediate as settled } from 'node:timers/promises';
import { until } from '../../test-support/until.ts';
import { fairQueue } from './fair-queue.ts';

/** A queue whose jobs end when they are told to. The job "a1-" is for the account "a1" at the address "a". */
function queueOf(concurrency: number, maxWaiting: number, maxWaitMs?: number) {
  const inTurn = fairQueue(concurrency, maxWaiting, () => new Error('full'), maxWaitMs);
  const started: string[] = [];
  const refused: string[] = [];
  const ends = new Map<string, () => void>();
  const add = (...names: string[]) => {
    for (const name of names) {
      const [address, account] = [name.slice(0, 1), name.slice(0, 2)];
      const requirePresence = () => {
        if (name.endsWith('!')) throw new Error('left');
      };
      const { promise, resolve } = Promise.withResolvers<void>();
      ends.set(name, resolve);
      const work = async () => {
        started.push(name);
        await promise;
      };
      inTurn({ address, account, requirePresence }, work).catch(() => refused.push(name));
    }
    return settled();
  };
  const end = async (name = started.at(-1) ?? '') => {
    ends.get(name)?.();
    await settled();
  };
  return { add, end, started, refused };
}

it('lets addresses take turns, so that a newcomer waits for one job', async () => {
  const { add, end, started } = queueOf(1, 30);
  await add('a1', 'a1-', 'a1--', 'a1---');
  await add('b1', 'b1-');
  for (let n = 0; n < 2; n++) await end();
  await add('c1');
  for (let n = 0; n < 5; n++) await end();
  assert.deepEqual(started, ['a1', 'b1', 'a1-', 'b1-', 'c1', 'a1--', 'a1---']);
});

it('lets the accounts of an address take turns', async () => {
  const { add, end, started } = queueOf(1, 30);
  await add('a1', 'a1-', 'a1--', 'a2', 'a2-', 'a3');
  for (let n = 0; n < 6; n++) await end();
  assert.deepEqual(started, ['a1', 'a2', 'a3', 'a1-', 'a2-', 'a1--']);
});

it('runs as many at once as it may', async () => {
  const { add, end, started } = queueOf(2, 30);
  await add('a1', 'a1-', 'a1--', 'b1', 'c1');
  assert.deepEqual(started, ['a1', 'a1-']);
  await end('a1');
  await end('a1-');
  assert.deepEqual(started, ['a1', 'a1-', 'b1', 'c1']);
});

it('refuses the last job of the busiest address when too many wait', async () => {
  const { add, end, started, refused } = queueOf(1, 4);
  await add('a0', 'a1', 'a1-', 'a2', 'a1--');
  assert.equal(refused.length, 0);
  await add('a3');
  assert.deepEqual(refused, ['a1--'], 'the account with the most jobs at that address');
  await add('b1');
  await add('c1');
  assert.equal(refused.filter((name) => name.startsWith('a')).length, 3);
  await add('d1');
  await add('e1');
  assert.equal(refused.at(-1), 'e1', 'all addresses have one job, so the newcomer');
  for (let n = 0; n < 5; n++) await end();
  assert.deepEqual(started.slice(1, 3), ['b1', 'c1']);
});

it('does no work for a client that has left', async () => {
  const { add, end, started, refused } = queueOf(1, 30);
  await add('a1', 'b1!', 'c1');
  await end();
  assert.deepEqual([started, refused], [['a1', 'c1'], ['b1!']]);
});

it('goes on after a job that fails', async () => {
  const inTurn = fairQueue(1, 30, () => new Error('full'));
  const client = { address: '', account: '', requirePresence: () => {} };
  await assert.rejects(
    inTurn(client, () => Promise.reject(new Error('bad'))),
    /bad/,
  );
  assert.equal(await inTurn(client, async () => 7), 7);
});

it('refuses a job that has waited for too long, and keeps the one that runs', async () => {
  const { add, end, started, refused } = queueOf(1, 30, 20);
  await add('a1', 'b1');
  await until(async () => refused.length === 1, 'refused');
  assert.deepEqual([started, refused], [['a1'], ['b1']]);
  await end();
  await add('c1');
  assert.deepEqual(started, ['a1', 'c1']);
});
