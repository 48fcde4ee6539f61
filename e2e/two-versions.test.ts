// Two versions of the app, with different session fields, on the same sessions.
import assert from 'node:assert/strict';
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { countLost, startVisitors } from '../bench/visitors.ts';
import { httpClient } from '../test-support/http-client.ts';
import { startRedis } from '../test-support/redis.ts';
import { startServer } from '../test-support/start-server.ts';
import { ADA } from '../test-support/start-shop.ts';
import { tempDir } from '../test-support/temp-dir.ts';
import { until } from '../test-support/until.ts';

const root = new URL('../', import.meta.url).pathname;

it('an update that adds one session field and drops another loses no session and fails no request, and neither does its roll-back', async (t) => {
  const copy = await tempDir('versions');
  t.after(() => copy[Symbol.asyncDispose]());
  for (const name of ['app', 'config', 'views', 'public', 'package.json'])
    cpSync(join(root, name), join(copy.path, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(copy.path, 'node_modules'));
  const file = 'app/shop-session.ts';
  const ours = readFileSync(join(root, file), 'utf8');
  const install = (field: string) => {
    const code = ours.replace('extend({', `extend({ ${field}: z.string().default('${field}'),`);
    assert.notEqual(code, ours);
    writeFileSync(join(copy.path, file), code);
  };

  install('dropped');
  const redis = await startRedis();
  t.after(redis.stop);
  const env = { SESSION_STORE: 'redis', REDIS_URL: redis.url, WEB_CONCURRENCY: '2' };
  const shop = await startServer(env, copy.path);
  t.after(shop.stop);
  const user = httpClient(shop.origin);
  assert.equal((await user.post('/login', { json: ADA })).status, 200);
  const visitors = startVisitors(shop.origin);
  t.after(visitors.stop);
  const { answers, acknowledged } = visitors;
  // Visitors of the old version alone, of both at once, and of the new one alone.
  const sell = async () => {
    const before = answers.length;
    await until(async () => answers.length > before + 100, 'visitors go on');
  };
  await sell();
  for (const [n, field] of ['added', 'dropped'].entries()) {
    install(field);
    shop.kill('SIGHUP');
    const rolled = () => shop.output().split('All workers were replaced').length - 1;
    await until(async () => rolled() > n, `rolled to the version with ${field}`);
    await sell();
  }
  await visitors.stop();

  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  assert.equal(acknowledged.size, 20);
  assert.equal(await countLost(shop.origin, acknowledged), 0);
  assert.equal((await user.get('/')).json.user.name, 'Ada');
  assert.doesNotMatch(shop.output(), /do not fit the fields/);
  // Each version wrote its field, and kept the other's.
  const keys = (await redis.cli('KEYS', 'sess:*')).split('\n');
  const sessions = await Promise.all(
    keys.map(async (key) => JSON.parse(await redis.cli('GET', key))),
  );
  const carts = sessions.filter(({ cart }) => cart);
  assert.equal(carts.length, 20);
  for (const { dropped, added } of carts) assert.deepEqual([dropped, added], ['dropped', 'added']);
});
