import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { tempDir } from '../../test-support/temp-dir.ts';
import { until } from '../../test-support/until.ts';
import { SQLITE_SCHEMA, sqliteBackend } from '../session/stores/sqlite.ts';

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

it('only expired rows are deleted, in the background, 200 at a time and once for all backends of a database', async (t) => {
  const [database, other] = await twoConnections(t);
  database.exec(SQLITE_SCHEMA);
  const insert = database.prepare("insert into records values (?, 1, '{}', ?)");
  for (let n = 0; n < 450; n++) insert.run(`gone:${n}`, 1);
  insert.run('kept', Date.now() + 100_000);
  insert.run('for good', null);
  const count = () => database.prepare('select count(*) as rows from records').get()?.rows;
  const { mock } = t.mock.method(other, 'prepare');
  const batches = () =>
    mock.calls.filter(({ arguments: [sql] }) => sql.startsWith('delete from records where key in'));
  for (const prefix of ['sess:', 'doc:', 'limit:']) sqliteBackend(other, prefix);
  await until(async () => count() === 2, 'deleted');
  await until(async () => batches().length === 3, 'three batches');
});
