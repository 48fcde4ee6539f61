import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { it, type TestContext } from 'node:test';
import { startChild } from '../../test-support/child.ts';
import { run } from '../../test-support/run.ts';
import { tempDir } from '../../test-support/temp-dir.ts';
import { sqliteBackend } from '../session/index.ts';

const cli = new URL('backup-cli.ts', import.meta.url).pathname;

/** A folder with a database of about 4 MB, and a way to back it up there. */
async function startBackups(t: TestContext) {
  const dir = await tempDir('backup');
  t.after(() => dir[Symbol.asyncDispose]());
  const path = join(dir.path, 'shop.db');
  const database = new DatabaseSync(path);
  t.after(() => database.isOpen && database.close());
  sqliteBackend(database, 'doc:');
  database.exec(`with recursive n(i) as (values (1) union all select i + 1 from n where i < 1000)
    insert into records select 'doc:' || i, 1, hex(randomblob(2000)), null from n`);
  const target = join(dir.path, 'backup.db');
  const env = { ...process.env, DATABASE_URL: `sqlite:${path}` };
  return {
    database,
    path,
    target,
    env,
    backup: (limits = '', command = cli) =>
      run('sh', ['-c', `${limits} exec "$@"`, 'sh', process.execPath, command, target], { env }),
    /** The other files in the folder, without those of the shop. */
    left: () => readdirSync(dir.path).filter((name) => !name.startsWith('shop.db')),
  };
}

it('a backup that fails leaves nothing behind', async (t) => {
  const { backup, left, target } = await startBackups(t);
  // No file may become larger than 1 or 2 MB.
  await assert.rejects(
    backup('ulimit -f 2048;'),
    /Cannot copy .*shop\.db to .*backup\.db: Error: /,
  );
  assert.deepEqual(left(), []);

  mkdirSync(target);
  await assert.rejects(backup(), /Cannot copy .*shop\.db to .*backup\.db: Error: E/);
  assert.deepEqual(left(), ['backup.db']);
});

it('backups to the same file at the same time all succeed', async (t) => {
  const { backup, left, target } = await startBackups(t);
  await Promise.all(Array.from({ length: 4 }, () => backup()));
  assert.deepEqual(left(), ['backup.db']);
  using copy = new DatabaseSync(target, { readOnly: true });
  assert.equal(copy.prepare('pragma integrity_check').get()?.integrity_check, 'ok');
  assert.equal(copy.prepare('select count(*) as n from records').get()?.n, 1000);
});

it('a backup that is told to stop leaves nothing behind', async (t) => {
  const { database, env, left, target } = await startBackups(t);
  database.exec('pragma journal_mode = delete; begin exclusive');
  const waitsForTheLock = async () => left().length > 0;
  const child = await startChild(process.execPath, [cli, target], { env, ready: waitsForTheLock });
  child.kill('SIGTERM');
  database.exec('rollback');
  await child.exited;
  assert.deepEqual(
    left().filter((name) => name !== 'backup.db'),
    [],
  );
});

it('a backup says that the database is locked, or that a file is not the shop’s database', async (t) => {
  const { backup, database, left, path } = await startBackups(t);
  // It waits for a lock for 0.1 s instead of 5.
  const hasty = join(dirname(path), 'shop.db-backup.ts');
  const code = readFileSync(cli, 'utf8').replace('timeout: 5000', 'timeout: 100');
  writeFileSync(hasty, code.replace('../..', join(import.meta.dirname, '../..')));
  database.exec('pragma journal_mode = delete; begin exclusive');
  await assert.rejects(
    backup('', hasty),
    /Cannot copy .*shop\.db to .*: Error: database is locked/,
  );
  database.close();
  writeFileSync(path, '');
  await assert.rejects(backup(), /Cannot copy .*shop\.db to .*: Error: no such table: records/);
  assert.deepEqual(left(), []);
});
