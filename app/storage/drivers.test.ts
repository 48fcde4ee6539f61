import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { registerHooks } from 'node:module';
import { it } from 'node:test';
import { connectMemcached, connectMysql, connectPostgres } from './drivers.ts';

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
