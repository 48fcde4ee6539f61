import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { connectTo } from '../../test-support/connect-to.ts';
import { startRedis } from '../../test-support/redis.ts';
import {
  ADA,
  GRACE,
  PAGE,
  REAL_PASSWORDS,
  type Shop,
  startShop,
} from '../../test-support/start-shop.ts';
import { onEachStore } from '../../test-support/stores.ts';
import { until } from '../../test-support/until.ts';
import { memoryBackend, redisBackend } from '../session/index.ts';
import { rateLimitStore, recordCounters, redisCounters } from '../storage/rate-limit-store.ts';

const TRUST = { TRUST_PROXY: 'loopback' };

onEachStore(
  'the limits',
  (store) => {
    /** Like two processes: they share only the store. */
    let shops: Shop[];
    before(async () => {
      const { redis, url, documents } = store;
      const counters = redis ? redisCounters(redis) : recordCounters(documents);
      const shared = url
        ? { rateLimitStore: (name: string) => rateLimitStore(counters, name, 'a secret') }
        : {};
      const env = TRUST;
      const processes = url ? 2 : 1;
      shops = await Promise.all(
        Array.from({ length: processes }, () => startShop(store.backend, shared, env)),
      );
    });
    after(() => Promise.all(shops.map((shop) => shop.close())));

    const tryLogIn = async (n: number, address: string, json: object) =>
      shops[n % shops.length]
        ?.visitor()
        .post('/login', { json, headers: { 'x-forwarded-for': address } });
    const wrong = { ...ADA, password: 'wrong' };

    it('allow ten failed log-ins in three minutes, across all processes, and say when to try again', async () => {
      const tries = Array.from({ length: 30 }, (_, n) => tryLogIn(n, '203.0.113.1', wrong));
      const responses = await Promise.all(tries);
      assert.equal(responses.filter((response) => response?.status === 403).length, 10);
      assert.equal(responses.filter((response) => response?.status === 429).length, 20);
      // For now, not even the right password works from that address.
      const refused = await tryLogIn(0, '203.0.113.1', ADA);
      assert.equal(refused?.status, 429);
      const seconds = Number(refused?.headers.get('retry-after'));
      assert.ok(seconds > 100 && seconds <= 180, `${seconds}`);
    });

    it('block neither the account from another address, nor the address from another account', async () => {
      assert.equal((await tryLogIn(0, '203.0.113.2', ADA))?.status, 200);
      assert.equal((await tryLogIn(0, '203.0.113.1', GRACE))?.status, 200);
    });

    it('do not count log-ins that succeed', async () => {
      for (let n = 0; n < 12; n++)
        assert.equal((await tryLogIn(n, '203.0.113.3', ADA))?.status, 200);
    });

    it('keep the email in the form', async () => {
      const form = { email: ADA.email, password: 'wrong', next: '/cart' };
      const headers = { ...PAGE.headers, 'x-forwarded-for': '203.0.113.1' };
      const page = await shops[0]?.visitor().post('/login', { form, headers });
      assert.equal(page?.status, 429);
      assert.match(page?.text ?? '', /Too many requests\. Please try again in \d min\./);
      assert.match(page?.text ?? '', /value="ada@cloakroom\.test"/);
      assert.match(page?.text ?? '', /name="next" value="\/cart"/);
    });
  },
  ['memory', 'Redis', 'SQLite'],
);

it('an address that tries many accounts has a hundred tries', async (t) => {
  const server = await startRedis();
  t.after(server.stop);
  const redis = connectTo(server.url);
  t.after(() => redis.close());
  await until(() => redis.check().then(() => true), 'connected');
  const shared = (name: string) => rateLimitStore(redisCounters(redis), name, 'a secret');
  const shop = await startShop(redisBackend(redis), { rateLimitStore: shared });
  t.after(shop.close);
  const keys = async (pattern: string) => (await server.cli('KEYS', pattern)).trim().split('\n');
  const statuses = [];
  for (let n = 0; n < 5; n++) {
    const json = { email: `${n}@x.test`, password: 'wrong' };
    statuses.push((await shop.visitor().post('/login', { json })).status);
    const [count = ''] = await keys('limit:address:*');
    if (n === 0) await server.cli('SET', count, '98', 'KEEPTTL');
  }
  assert.deepEqual(statuses, [403, 403, 403, 429, 429]);
  for (const key of await keys('limit:*')) {
    assert.match(key, /^limit:(address|account):[\w-]{43}$/, 'it shows nobody');
    assert.ok(Number(await server.cli('PTTL', key)) > 0, 'it ends by itself');
  }
});

it('500 simultaneous log-ins do not block the shop, and most get 503 with Retry-After', async (t) => {
  const shop = await startShop(memoryBackend(), REAL_PASSWORDS, TRUST);
  t.after(shop.close);
  const time = async (request: Promise<{ status: number }>, status: number) => {
    const started = performance.now();
    assert.equal((await request).status, status);
    return performance.now() - started;
  };
  const alone = await time(shop.visitor().post('/login', { json: { ...ADA, password: '' } }), 403);
  const logIns = Array.from({ length: 500 }, (_, n) =>
    shop.visitor().post('/login', {
      json: { email: `${n}@x.test`, password: 'wrong' },
      headers: { 'x-forwarded-for': `203.0.113.${n % 250}` },
    }),
  );
  const times: number[] = [];
  for (let n = 0; n < 100; n++) {
    times.push(await time(shop.visitor().get('/livez'), 200));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const responses = await Promise.all(logIns);
  const busy = responses.filter(({ status }) => status === 503);
  assert.ok(busy.length > 300, `${busy.length} got 503`);
  assert.ok(busy.every(({ headers }) => Number(headers.get('retry-after')) > 0));
  assert.equal(responses.filter(({ status }) => status === 403).length, 500 - busy.length);
  // If hashing blocked the process, each of these would take as long as a log-in. The client shares the
  // process: its first moments, when it sends 500 requests, are not counted.
  const median = times.slice(20).toSorted((a, b) => a - b)[40] ?? Infinity;
  assert.ok(median < alone / 2, `${median} ms, where a log-in alone takes ${alone}`);
});

it('one address cannot create sessions without limit, and a visitor with a session notices nothing', async (t) => {
  const floodLimits = { newSessions: 3, cartChanges: 100 };
  const shop = await startShop(memoryBackend(), { floodLimits });
  t.after(shop.close);
  const visitor = shop.visitor();
  for (let view = 0; view < 10; view++) assert.equal((await visitor.get('/')).status, 200);
  for (const [path, expected] of [
    ['/', 200],
    ['//', 200],
    ['/', 429],
    ['//', 429],
  ] as const) {
    const { status, headers } = await shop.visitor().get(path);
    assert.equal(status, expected, path);
    assert.equal(headers.has('set-cookie'), status === 200);
    assert.equal(headers.has('retry-after'), status === 429);
  }
  assert.equal((await visitor.get('/')).status, 200);
});

it('one address cannot create sessions without limit by sending made-up cookies, on any page', async (t) => {
  const backend = memoryBackend();
  let made = 0;
  const compareAndSet: typeof backend.compareAndSet = (key, version, ...rest) => {
    if (version === 0) made++;
    return backend.compareAndSet(key, version, ...rest);
  };
  const floodLimits = { newSessions: 3, cartChanges: 100 };
  const shop = await startShop({ ...backend, compareAndSet }, { floodLimits });
  t.after(shop.close);
  const headers = { ...PAGE.headers, cookie: 'sid=made-up' };
  for (const path of ['/', '/cart', '/guide', '/login', '/session', '/logout', '/register', '/'])
    await shop.visitor().get(path, { headers });
  assert.equal(made, 3);
  // A visitor without a cookie still sees this page, and gets no cookie.
  assert.equal((await shop.visitor().get('/cart', PAGE)).status, 200);
});

it('one session cannot change its cart without limit, and another still can', async (t) => {
  const floodLimits = { newSessions: 100, cartChanges: 5 };
  const shop = await startShop(memoryBackend(), { floodLimits });
  t.after(shop.close);
  const visitors = [shop.visitor(), shop.visitor()];
  for (const visitor of visitors) await visitor.get('/');
  const clear = async (n: number) => (await visitors[n]?.post('/cart/clear'))?.status;
  for (let change = 0; change < 5; change++) assert.equal(await clear(0), 200);
  assert.deepEqual([await clear(0), await clear(1)], [429, 200]);
});

it('logging in again does not let an account change its cart, or place orders, without limit', async (t) => {
  const floodLimits = { cartChanges: 5, orders: 3 };
  const shop = await startShop(memoryBackend(), { floodLimits });
  t.after(shop.close);
  for (const [path, limit] of [
    ['/cart/clear', 5],
    ['/checkout', 3],
  ] as const) {
    const statuses = [];
    for (let n = 0; n <= limit; n++) {
      const visitor = shop.visitor();
      await visitor.post('/login', { json: ADA });
      statuses.push((await visitor.post(path)).status);
    }
    assert.deepEqual(
      statuses.map((status) => status === 429),
      [...Array.from({ length: limit }, () => false), true],
      path,
    );
  }
  const other = shop.visitor();
  await other.post('/login', { json: GRACE });
  assert.equal((await other.post('/cart/clear')).status, 200);
});

it('an address cannot change carts without limit by starting sessions', async (t) => {
  const shop = await startShop(memoryBackend(), { floodLimits: { cartChanges: 1 } });
  t.after(shop.close);
  const statuses = [];
  for (let n = 0; n < 11; n++) {
    const visitor = shop.visitor();
    await visitor.get('/');
    statuses.push((await visitor.post('/cart/clear')).status);
  }
  assert.deepEqual(statuses, [...Array.from({ length: 10 }, () => 200), 429]);
});

it('even successful log-ins have a limit, for each account at each address', async (t) => {
  const shop = await startShop(memoryBackend(), { floodLimits: { logIns: 3 } }, TRUST);
  t.after(shop.close);
  const logIn = async (json: object, address: string) => {
    const headers = { 'x-forwarded-for': address };
    return (await shop.visitor().post('/login', { json, headers })).status;
  };
  for (const expected of [200, 200, 200, 429])
    assert.equal(await logIn(ADA, '203.0.113.1'), expected);
  assert.equal(await logIn(GRACE, '203.0.113.1'), 200);
  assert.equal(await logIn(ADA, '203.0.113.2'), 200);
});

it('many people who register at once are asked to try again soon, not in three minutes', async (t) => {
  const shop = await startShop(memoryBackend());
  t.after(shop.close);
  const register = (n: number) =>
    shop.visitor().post('/register', {
      json: {
        email: `guest${n}@cloakroom.test`,
        name: 'Guest',
        password: 'a coat of many colours',
      },
    });
  const responses = await Promise.all(Array.from({ length: 60 }, (_, n) => register(n)));
  const refused = responses.filter(({ status }) => status === 429);
  assert.equal(responses.filter(({ status }) => status === 201).length, 60 - refused.length);
  assert.ok(refused.length > 0);
  for (const { headers } of refused) assert.equal(headers.get('retry-after'), '2');
  assert.equal((await register(60)).status, 201);
});
