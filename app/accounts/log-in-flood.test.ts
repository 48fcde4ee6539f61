import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import bcrypt from 'bcrypt';
import { ADA, startShop } from '../../test-support/start-shop.ts';
import { until } from '../../test-support/until.ts';
import { memoryBackend } from '../session/index.ts';

const MAX_WAITING = 30;
const WRONG = 'forty open umbrellas';

/** A shop whose bcrypt takes until the test ends it. `started` lists the passwords in their order. */
async function slowShop(t: TestContext) {
  const started: string[] = [];
  const ends: (() => void)[] = [];
  for (const name of ['compare', 'hash'] as const) {
    const real = bcrypt[name] as (password: string, other: never) => Promise<unknown>;
    t.mock.method(bcrypt, name, (password: string, other: never) => {
      started.push(password);
      const { promise, resolve } = Promise.withResolvers<void>();
      ends.push(resolve);
      // Skips the real work, which takes its time even for an unknown account.
      const wrong = name === 'compare' ? false : 'a hash';
      return promise.then(() => (password === WRONG ? wrong : real(password, other)));
    });
  }
  const shop = await startShop(memoryBackend(), {}, { TRUST_PROXY: 'loopback' });
  t.after(shop.close);
  let done = 0;
  const endOne = () => {
    const end = ends[done];
    if (end) done += 1;
    end?.();
  };
  t.after(() => {
    for (const end of ends) end();
  });

  let refused = 0;
  const post = async (path: string, json: object, address: string) => {
    const headers = { 'x-forwarded-for': address };
    const response = await shop.visitor().post(path, { json, headers });
    if (response.status === 503) refused += 1;
    return response;
  };
  /** Waits until `count` requests run, wait in the full queue, or have been refused. */
  const arrived = (count: number) =>
    until(async () => started.length - done + MAX_WAITING + refused === count, 'all arrived');
  return { post, arrived, started, endOne };
}

it('40 log-ins of one address, over five accounts, leave the next turn to another address', async (t) => {
  const { post, arrived, started, endOne } = await slowShop(t);
  const flood = Array.from({ length: 40 }, (_, n) =>
    post('/login', { email: `flood-${n % 5}@example.test`, password: WRONG }, '203.0.113.1'),
  );
  await arrived(40);
  const concurrency = started.length;
  const adas = post('/login', ADA, '203.0.113.2');
  await arrived(41);
  endOne();
  await until(async () => started.length > concurrency, 'the next turn');
  assert.equal(started[concurrency], ADA.password);
  const over = setInterval(endOne, 1);
  t.after(() => clearInterval(over));
  assert.equal((await adas).status, 200);
  const statuses = (await Promise.all(flood)).map(({ status }) => status);
  assert.equal(statuses.filter((status) => status === 503).length, 40 - concurrency - 29);
});

it('registrations and wrong passwords of four addresses leave another address its turn', async (t) => {
  const { post, arrived, started, endOne } = await slowShop(t);
  const flood = Array.from({ length: 80 }, (_, n) => {
    const json = { email: `flood-${n}@example.test`, name: 'Flood', password: WRONG };
    return post(n % 8 < 4 ? '/login' : '/register', json, `203.0.113.${n % 4}`);
  });
  await arrived(80);
  const concurrency = started.length;
  const adas = post('/login', ADA, '203.0.113.9');
  await arrived(81);
  for (let n = 0; n < 5; n++) {
    endOne();
    await until(async () => started.length > concurrency + n, 'the next turn');
  }
  assert.ok(started.includes(ADA.password), 'within five turns');
  const over = setInterval(endOne, 1);
  t.after(() => clearInterval(over));
  assert.equal((await adas).status, 200);
  await Promise.all(flood);
});
