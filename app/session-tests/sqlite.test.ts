import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { tempDir } from '../../test-support/temp-dir.ts';
import { sqliteBackend } from '../session/stores/sqlite.ts';

async function twoConnections(t: TestContext): Promise<[DatabaseSync, DatabaseSync]> {
  const folder = await tempDir('sqlite');
  const path = join(folder.path, 'shop.db');
  const [one, other] = [new DatabaseSync(path), new DatabaseSync(path)];
  t.after(async () => {
    for (const each of [one, other]) each.close();
    await folder[Symbol.asyncDispose]();
  });
  return [one, other];
}

it('a write waits for the lock of another process, while this process goes on and reads', async (t) => {
  const [one, other] = await twoConnections(t);
  const backend = sqliteBackend(one);
  await backend.compareAndSet('coat', 0, { version: 1 });
  other.exec('begin immediate');
  const write = backend.compareAndSet('coat', 1, { version: 2 });
  assert.equal(await Promise.race([write, sleep(50, 'waits')]), 'waits');
  assert.equal(await backend.get('coat'), '{"version":1}');
  other.exec('commit');
  assert.equal(await write, true);
});

it('a write that the database refuses is reported, and changes nothing', async (t) => {
  const [database] = await twoConnections(t);
  const backend = sqliteBackend(database);
  const big = { version: 1, text: 'x'.repeat(100_000) };
  database.exec('pragma max_page_count = 10');
  await assert.rejects(backend.compareAndSet('coat', 0, big), /full/);
  assert.equal(await backend.compareAndSet('coat', 0, { version: 1 }), true);
  database.exec('pragma max_page_count = 1000');
  assert.equal(await backend.compareAndSet('coat', 1, { ...big, version: 2 }), true);
});

it('expired rows are deleted in the background, a few at a time, and no others', async (t) => {
  const [database, other] = await twoConnections(t);
  t.mock.timers.enable({ apis: ['setInterval', 'setTimeout', 'Date'] });
  const backend = sqliteBackend(database);
  const keys = Array.from({ length: 450 }, (_, n) => `gone:${n}`);
  for (const key of keys) await backend.compareAndSet(key, 0, { version: 1 }, 1000);
  await backend.compareAndSet('kept', 0, { version: 1 }, 100_000);
  await backend.compareAndSet('for good', 0, { version: 1 });
  const count = () => other.prepare('select count(*) as rows from records').get()?.rows;
  t.mock.timers.tick(59_000);
  assert.equal(count(), 452);
  t.mock.timers.tick(1000);
  assert.equal(count(), 252);
  t.mock.timers.tick(10);
  t.mock.timers.tick(10);
  assert.equal(count(), 2);
});
