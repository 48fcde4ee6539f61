import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import { ADA, PAGE, startShop } from '../../test-support/start-shop.ts';
import { memoryBackend } from '../session/index.ts';

const PREFETCHES = [
  { 'sec-purpose': 'prefetch' },
  { 'sec-purpose': 'prefetch;prerender' },
  { 'sec-purpose': 'prefetch;anonymous-client-ip' },
  { purpose: 'prefetch' },
].map((headers) => ({ headers: { ...PAGE.headers, ...headers } }));

async function shopThatCountsWrites(t: TestContext) {
  const backend = memoryBackend();
  const writes: string[] = [];
  const compareAndSet: typeof backend.compareAndSet = (key, ...rest) => {
    writes.push(key);
    return backend.compareAndSet(key, ...rest);
  };
  const shop = await startShop({ ...backend, compareAndSet });
  t.after(shop.close);
  return { shop, writes };
}

it('a prefetch counts no view, leaves the flash to the visitor, and stores nothing', async (t) => {
  const { shop, writes } = await shopThatCountsWrites(t);
  const visitor = shop.visitor();
  await visitor.get('/');
  await visitor.post('/cart/lines', { form: { sku: 'bowler-hat' }, ...PAGE });
  const before = writes.length;
  for (const prefetch of PREFETCHES)
    for (const path of ['/', '/cart', '/guide', '/login', '/session', '/account']) {
      const { status, text } = await visitor.get(path, prefetch);
      assert.equal(status, path === '/account' ? 303 : 200);
      assert.doesNotMatch(text, /class="flash"[^>]*>Bowler hat added\./);
    }
  assert.equal(writes.length, before);
  const page = await visitor.get('/', PAGE);
  assert.match(page.text, /class="flash"[^>]*>Bowler hat added\./);
  assert.match(page.text, /Views: 2/);
});

it('a prefetch starts no session, for a new visitor or after the last one has ended', async (t) => {
  const { shop, writes } = await shopThatCountsWrites(t);
  for (const cookie of [undefined, 'sid=made-up']) {
    const visitor = shop.visitor();
    visitor.cookie = cookie;
    for (const prefetch of PREFETCHES) {
      const { status, headers } = await visitor.get('/', prefetch);
      assert.deepEqual([status, headers.get('set-cookie')], [200, null]);
    }
  }
  assert.deepEqual(writes, []);
});

it('a prefetch does not replace a session that was logged out elsewhere: the browser asks again', async (t) => {
  const { shop, writes } = await shopThatCountsWrites(t);
  const [here, elsewhere] = [shop.visitor(), shop.visitor()];
  for (const visitor of [here, elsewhere]) await visitor.post('/login', { json: ADA });
  await elsewhere.post('/account/sessions/end-others', { json: { password: ADA.password } });
  const [before, { cookie }] = [writes.length, here];
  for (const prefetch of PREFETCHES) assert.equal((await here.get('/', prefetch)).status, 409);
  assert.deepEqual([writes.length, here.cookie], [before, cookie]);
  assert.match((await here.get('/', PAGE)).text, /You were logged out here/);
});
