import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectTo } from '../../test-support/connect-to.ts';
import { startRedis } from '../../test-support/redis.ts';
import { startShop } from '../../test-support/start-shop.ts';
import { until } from '../../test-support/until.ts';
import { memoryBackend, redisBackend, sqliteBackend } from '../session/index.ts';
import { readyCheck } from './ready-check.ts';

it('/readyz names a Redis or a database that answers but stores nothing, and leaves no record behind', async (t) => {
  const server = await startRedis();
  t.after(server.stop);
  const redis = connectTo(server.url);
  t.after(redis.close);
  const disk = new DatabaseSync(':memory:');
  t.after(() => disk.close());
  const documents = sqliteBackend(disk, 'doc:');
  const shop = await startShop(redisBackend(redis), {
    checks: {
      'session store': readyCheck({
        backend: (prefix) => redisBackend(redis, prefix),
        check: redis.check,
      }),
      database: readyCheck({
        backend: (prefix) => sqliteBackend(disk, prefix),
        check: () => documents.get('check'),
      }),
    },
  });
  t.after(shop.close);
  const says = (words: string) =>
    until(async () => {
      const { status, json } = await shop.visitor().get('/readyz');
      return (
        status === (words === 'ok' ? 200 : 503) && (json.errorMessage ?? json.status) === words
      );
    }, words);
  await says('ok');
  assert.equal(await server.cli('DBSIZE'), '0');

  const setRedis = (name: string, value: string) => server.cli('CONFIG', 'SET', name, value);
  const noSessions = 'The session store does not accept writes.';
  for (const [name, refuse, allow] of [
    ['maxmemory', '1', '0'],
    ['min-replicas-to-write', '1', '0'],
  ] as const) {
    await setRedis(name, refuse);
    await says(noSessions);
    await setRedis(name, allow);
    await says('ok');
  }
  disk.exec('pragma query_only = on');
  await says('The database does not accept writes.');
  await setRedis('maxmemory', '1');
  await says('The session store and the database do not accept writes.');
  await server.kill();
  await says('The session store does not answer. The database does not accept writes.');
});

it('however often it is asked, it writes once a second at most', async () => {
  let writes = 0;
  const memory = memoryBackend();
  const destroy: typeof memory.destroy = (key) => {
    writes += 1;
    return memory.destroy(key);
  };
  const check = readyCheck({ backend: () => ({ ...memory, destroy }), check: async () => {} });
  const began = performance.now();
  for (let n = 0; n < 50; n++) {
    await check();
    await sleep(1);
  }
  assert.ok(writes >= 1 && writes <= 1 + (performance.now() - began) / 1000, `${writes}`);
});
