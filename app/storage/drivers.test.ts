import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, renameSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { ConfigError, readConfig } from '../../config/environment.ts';
import { tempDir } from '../../test-support/temp-dir.ts';
import { connectMemcached, connectMysql, connectPostgres } from './drivers.ts';
import { openDatabase, openStores } from './open-stores.ts';

it('a driver that is not installed is named, with the command that installs it', async (t) => {
  const hooks = registerHooks({
    resolve: (specifier, context, next) => {
      if (!/^(pg|mysql2|memcache-client)\b/.test(specifier)) return next(specifier, context);
      throw Object.assign(new Error('not found'), { code: 'ERR_MODULE_NOT_FOUND' });
    },
  });
  t.after(() => hooks.deregister());
  const onError = () => {};
  const url = 'postgres://127.0.0.1/shop';
  const missing = (name: string) =>
    new RegExp(`The package ${name} is missing. Install it: npm install ${name}$`);
  await assert.rejects(connectPostgres(url, onError), missing('pg'));
  await assert.rejects(connectMysql(url, onError), missing('mysql2'));
  await assert.rejects(connectMemcached(url), missing('memcache-client'));
});

it('no driver is loaded before it is chosen, by the session module or by open-stores.ts', () => {
  const script = `
    import { registerHooks } from 'node:module';
    const loaded = [];
    registerHooks({ load: (url, context, next) => { loaded.push(url); return next(url, context); } });
    await import('./app/session/index.ts');
    await import('./app/storage/open-stores.ts');
    console.log(loaded.join('\\n'));`;
  const args = ['--input-type=module', '--eval', script];
  const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.match(stdout, /stores\/mysql\.ts/);
  assert.doesNotMatch(stdout, /node_modules\/(pg|mysql2|memcache)|node:sqlite/);
});

it('says why a database or Memcached cannot be reached when the app starts', async () => {
  const reasons: string[] = [];
  const config = readConfig({
    DATABASE_URL: 'postgres://127.0.0.1:1/shop',
    SESSION_STORE: 'memcached',
    MEMCACHED_URL: 'memcached://127.0.0.1:1',
  });
  const stores = await openStores(config, (what) => (error) => {
    reasons.push(`${what}: ${String(error)}`);
  });
  await stores.connected();
  void stores.close();
  assert.match(reasons.sort().join(), /^Memcached: .*REFUSED.*,the database: .*REFUSED/);
});

it('names a file that is not a database, and notices one that was moved, deleted or replaced', async () => {
  await using dir = await tempDir('sqlite');
  const open = (path: string) => openDatabase({ kind: 'sqlite', path }, () => {});
  for (const [path, reason] of [
    [dir.path, /directory/],
    [import.meta.filename, /file is not a database/],
  ] as const)
    await assert.rejects(open(path), (error: Error) => {
      assert.match(error.message, /^DATABASE_URL names \/.*, which cannot be used as a database: /);
      return reason.test(error.message) && error instanceof ConfigError;
    });
  const path = join(dir.path, 'shop.db');
  const database = await open(path);
  await database.check();
  renameSync(path, `${path}.moved`);
  await assert.rejects(database.check(), /ENOENT.*shop\.db/);
  copyFileSync(`${path}.moved`, path);
  await assert.rejects(database.check(), /shop\.db was replaced\. Restart the shop/);
  await database.close();
});

it('two connections that open a new SQLite database at the same moment both succeed', async () => {
  await using dir = await tempDir('sqlite');
  // Each waits in a busy loop for the other, so that both open the next file within microseconds.
  const script = `
    import { parentPort, workerData } from 'node:worker_threads';
    const { openDatabase } = await import('${new URL('open-stores.ts', import.meta.url)}');
    const arrived = new Int32Array(workerData);
    for (let n = 1; n <= 100; n++) {
      Atomics.add(arrived, 0, 1);
      while (Atomics.load(arrived, 0) < 2 * n);
      const path = '${dir.path}/' + n + '.db';
      const store = await openDatabase({ kind: 'sqlite', path }, () => {});
      for (const prefix of ['doc:', 'sess:']) store.backend(prefix);
      await store.close();
    }`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(script)}`);
  const workerData = new SharedArrayBuffer(4);
  const workers = [0, 1].map(() => new Worker(url, { workerData }));
  try {
    const exits = await Promise.all(workers.map((worker) => once(worker, 'exit')));
    assert.deepEqual(exits, [[0], [0]]);
  } finally {
    for (const worker of workers) void worker.terminate(); // the one that still waits
  }
});
