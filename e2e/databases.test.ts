// The shop on each database server, with nothing else beside it but Memcached.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { httpClient } from '../test-support/http-client.ts';
import { startMariadb } from '../test-support/mariadb.ts';
import { startMemcached } from '../test-support/memcached.ts';
import { startPostgres } from '../test-support/postgres.ts';
import { startServer } from '../test-support/start-server.ts';
import { ADA } from '../test-support/start-shop.ts';
import { until } from '../test-support/until.ts';

const SHARED = { SESSION_SECRET: 'f3Xw9Lq2Vb7Nc5Zk8Hs4Jd6Gt1Ry0PmU', WEB_CONCURRENCY: '2' };

for (const [name, start, sessions] of [
  ['PostgreSQL alone', startPostgres, undefined],
  ['MariaDB and Memcached', startMariadb, startMemcached],
] as const)
  it(`on ${name}: two workers sell, say what is down, recover by themselves, and lose nothing`, async (t) => {
    const database = await start();
    t.after(database.stop);
    const memcached = await sessions?.();
    t.after(() => memcached?.stop());
    const env = {
      ...SHARED,
      DATABASE_URL: database.url,
      SESSION_STORE: memcached ? 'memcached' : 'database',
      ...(memcached && { MEMCACHED_URL: memcached.url }),
    };
    const first = await startServer(env);
    t.after(first.stop);
    const visitor = httpClient(first.origin);
    const isReady = async () => (await visitor.get('/readyz')).status === 200;
    await until(isReady, 'ready');
    assert.equal((await visitor.post('/login', { json: ADA })).status, 200);
    const sell = () => visitor.post('/cart/lines', { json: { sku: 'bowler-hat' } });
    const sold = await Promise.all(Array.from({ length: 30 }, sell));
    assert.deepEqual(new Set(sold.map(({ status }) => status)), new Set([200]));
    assert.equal((await visitor.get('/cart')).json.count, 30);
    assert.equal((await visitor.post('/checkout')).status, 201);

    await database.kill();
    const down = await visitor.get('/readyz');
    assert.deepEqual([down.status, down.json.errorMessage], [503, 'The database does not answer.']);
    assert.equal((await visitor.get('/')).status, 503);
    assert.equal((await visitor.get('/livez')).status, 200);
    await database.restart();
    await until(isReady, 'ready again');
    assert.equal((await sell()).status, 200);

    assert.equal(await first.stop(), 0);
    const second = await startServer(env);
    t.after(second.stop);
    const later = httpClient(second.origin, visitor.cookie);
    const { user, cart } = (await later.get('/')).json;
    assert.deepEqual([user?.name, cart.count], ['Ada', 1]);
    assert.equal((await later.get('/orders')).json.orders.length, 1);
  });
