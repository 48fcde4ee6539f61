import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import { startMemcached } from '../../test-support/memcached.ts';
import { testOutages } from '../../test-support/store-failures.ts';
import { serverOf } from '../../test-support/stores.ts';
import { memcachedBackend } from '../session/stores/memcached.ts';
import { connectMemcached } from '../storage/drivers.ts';

import '../../test-support/only-memcached.ts';
import './session-contract.test.ts';
import './drop-in-store.test.ts';

testOutages('Memcached', { keepsRecords: false });

async function open(t: TestContext, url?: string) {
  const client = await connectMemcached(url ?? (await serverOf('Memcached')).url);
  t.after(() => client.shutdown());
  return { client, backend: memcachedBackend(client) };
}

it('refuses a key that could end its command and begin another one', async (t) => {
  const { backend } = await open(t);
  for (const key of ['a b', 'a\r\nflush_all', 'é', 'x'.repeat(246)]) {
    for (const ask of [
      () => backend.get(key),
      () => backend.compareAndSet(key, 0, { version: 1 }),
      () => backend.destroy(key),
    ])
      await assert.rejects(ask, /Memcached takes keys of 1 to 250 ASCII characters/);
  }
  assert.equal(await backend.compareAndSet('x'.repeat(245), 0, { version: 1 }), true);
});

it('says that a record is too large, and keeps the one before it', async (t) => {
  const { backend } = await open(t);
  await backend.compareAndSet('coat', 0, { version: 1 });
  const large = { version: 2, text: 'x'.repeat(2 ** 20) };
  await assert.rejects(backend.compareAndSet('coat', 1, large), /object too large for cache/);
  assert.equal(await backend.get('coat'), '{"version":1}');
});

it('does not delete a record that changes between its two commands', async (t) => {
  const { client, backend } = await open(t);
  await backend.compareAndSet('hat', 0, { version: 1 });
  const overtaken = memcachedBackend({
    gets: async (key) => {
      const found = await client.gets<string>(key);
      await backend.compareAndSet('hat', 1, { version: 2 });
      return found;
    },
    add: (...args) => client.add(...args),
    cas: (...args) => client.cas(...args),
    delete: (key) => client.delete(key),
  });
  assert.equal(await overtaken.compareAndSet('hat', 1, null), false);
  assert.equal(await backend.get('hat'), '{"version":2}');
  assert.equal(await backend.compareAndSet('hat', 2, null), true);
  assert.equal(await backend.compareAndSet('hat', 0, { version: 1 }), true);
});

it('forgets records when its memory is full, as the docs say', async (t) => {
  const server = await startMemcached('--memory-limit=8');
  t.after(server.stop);
  const { backend } = await open(t, server.url);
  const text = 'x'.repeat(500_000);
  for (let n = 0; n < 40; n++)
    await backend.compareAndSet(`coat:${n}`, 0, { version: 1, text } as never);
  assert.equal(await backend.get('coat:0'), undefined);
  assert.ok(await backend.get('coat:39'));
});
