import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type { HttpClient } from '../../test-support/http-client.ts';
import { ADA, PAGE, type Shop, startShop } from '../../test-support/start-shop.ts';
import { onEachStore } from '../../test-support/stores.ts';
import { until } from '../../test-support/until.ts';
import { memoryBackend } from '../session/index.ts';

const HAT = { json: { sku: 'bowler-hat' } };

onEachStore('the X-ray', (store) => {
  let shop: Shop;
  before(async () => {
    shop = await startShop(store.backend, { storeName: store.name });
  });
  after(() => shop.close());

  const whats = (request: { steps: { what: string }[] }) =>
    request.steps.map(({ what }) => what).filter((what) => what !== 'round-trip');
  const secretsOf = (visitor: HttpClient) =>
    decodeURIComponent(visitor.cookie ?? '')
      .slice('sid=s:'.length)
      .split('.');

  it('shows both halves of a session, and never the id or the signature', async () => {
    const visitor = shop.visitor();
    await visitor.post('/login', { json: ADA });
    await visitor.post('/cart/lines', HAT);
    const { status, json, text } = await visitor.get('/session');
    assert.equal(status, 200);
    assert.equal(json.store, store.name);
    assert.equal(json.coat.document.version, 1);
    assert.deepEqual(Object.keys(json.coat.document.user), ['id', 'email', 'name']);
    assert.equal(json.coat.bytes, JSON.stringify(json.coat.document).length);
    assert.equal(json.ticket.verifiedBy, 1);
    assert.equal(json.clocks.idleSeconds, 1800);
    const page = await visitor.get('/session', PAGE);
    assert.equal(page.status, 200);
    assert.match(page.text, /The cloakroom holds/);
    const [id = '', signature = ''] = secretsOf(visitor);
    for (const secret of [id, signature, id.slice(0, 9), signature.slice(0, 9), '$2b$'])
      assert.ok(secret.length >= 4 && !(text + page.text).includes(secret), secret);
  });

  it('says that nothing is stored, and stores nothing', async () => {
    const visitor = shop.visitor();
    assert.equal((await visitor.get('/session')).json.stored, false);
    assert.match((await visitor.get('/session', PAGE)).text, /You have no session yet/);
    assert.equal(visitor.cookie, undefined);
  });

  it('shows what each request did: loaded, changed (with old and new values), touched', async () => {
    const visitor = shop.visitor();
    await visitor.post('/cart/lines', HAT);
    await visitor.post('/cart/lines', { json: { sku: 'bowler-hat', quantity: 2 } });
    await visitor.get('/cart');
    let requests: { path: string; status: number; ms: number; steps: { what: string }[] }[] = [];
    await until(async () => {
      ({ requests } = (await visitor.get('/session')).json);
      return whats(requests.at(-3) ?? { steps: [] }).includes('touched');
    }, 'the touch after a response is recorded');
    const [look, second, first] = requests.slice(-3);
    assert.ok(look && second && first);
    assert.equal(requests[0]?.path, '/session');
    assert.deepEqual(whats(look), ['loaded', 'touched']);
    assert.deepEqual(whats(first), ['created', 'committed']);
    assert.deepEqual(whats(second), ['loaded', 'committed']);
    const changes = [{ field: 'cart', from: { 'bowler-hat': 1 }, to: { 'bowler-hat': 3 } }];
    assert.ok(second.status === 200 && second.ms > 0);
    assert.deepEqual(second.steps.at(-1), { what: 'committed', version: 2, changes });
    const [trip] = second.steps as { operation?: string; ms?: number }[];
    assert.equal(trip?.operation, 'get');
    assert.ok(Number(trip?.ms) > 0);
  });

  it('is up to date while it is open, without keeping the session alive', async () => {
    const visitor = shop.visitor();
    await visitor.post('/cart/lines', { ...PAGE, form: HAT.json });
    const { lastSeenAt } = (await visitor.get('/session?live')).json.coat.document;
    await until(async () => Date.now() > lastSeenAt + 2, 'time has passed');
    const { text } = await visitor.get('/session?live', PAGE);
    assert.match(text, /id="document" data-live[\s\S]*id="trace" data-live/);
    assert.doesNotMatch(text, /role="status"/, 'the flash is not taken');
    const { coat, requests } = (await visitor.get('/session?live')).json;
    assert.equal(coat.document.lastSeenAt, lastSeenAt);
    const paths = requests.map(({ path }: { path: string }) => path);
    assert.deepEqual(paths, ['/cart/lines'], 'it does not record itself');
    assert.match((await visitor.get('/session', PAGE)).text, /Bowler hat added\./);
  });

  it('shows times as times, beside the milliseconds', async () => {
    const visitor = shop.visitor();
    await visitor.post('/cart/lines', HAT);
    const { coat, requests } = (await visitor.get('/session')).json;
    const { createdAt } = coat.document;
    assert.ok(Math.abs(requests[1].at - createdAt) < 5000);
    const { text } = await visitor.get('/session', PAGE);
    const time = new Date(createdAt).toISOString().slice(0, 19).replace('T', ' ');
    assert.match(text, new RegExp(`>${createdAt}</span>, <span class="comment">// ${time} UTC<`));
    assert.match(text, /<time datetime="[\d-]+T[\d:.]+Z">\d\d:\d\d:\d\d<\/time> · 200 · /);
  });

  it('shows a conflict, and that the change was applied again', async () => {
    const visitor = shop.visitor();
    await visitor.post('/cart/lines', HAT);
    const { handle, document } = (await visitor.get('/session')).json.coat;
    const { get } = store.backend;
    // Between this request's load and its change, another process stores.
    store.backend.get = async (key) => {
      const record = await get(key);
      store.backend.get = get;
      const next = { ...document, version: document.version + 1, views: 7 };
      await store.backend.compareAndSet(handle, document.version, next, 60_000);
      return record;
    };
    await visitor.post('/cart/lines', HAT);
    const { requests, coat } = (await visitor.get('/session')).json;
    assert.deepEqual(whats(requests[1]), ['loaded', 'conflict', 'committed']);
    const changes = [{ field: 'cart', from: { 'bowler-hat': 1 }, to: { 'bowler-hat': 2 } }];
    assert.deepEqual(
      requests[1].steps.at(-1).changes,
      changes,
      'its own change, not the other one',
    );
    assert.deepEqual([coat.document.views, coat.document.cart['bowler-hat']], [7, 2]);
  });

  it('shows that the store failed, but not the error', async () => {
    const visitor = shop.visitor();
    await visitor.post('/cart/lines', HAT);
    const { compareAndSet } = store.backend;
    store.backend.compareAndSet = () =>
      Promise.reject(Object.assign(new Error('gone'), { address: '10.0.0.7' }));
    try {
      assert.equal((await visitor.get('/cart')).status, 200);
    } finally {
      store.backend.compareAndSet = compareAndSet;
    }
    let steps: { what: string }[] = [];
    await until(async () => {
      const { requests } = (await visitor.get('/session')).json;
      const page = requests.findLast(({ path }: { path: string }) => path === '/cart');
      steps = page?.steps.filter(({ what }: { what: string }) => /store|failed/.test(what)) ?? [];
      return steps.length === 2;
    }, 'the failed touch is recorded');
    assert.deepEqual(steps, [{ what: 'store-down' }, { what: 'touch-failed' }]);
  });

  it('starts a new list at log-in, because another person may have used the old id', async () => {
    const visitor = shop.visitor();
    await visitor.post('/cart/lines', HAT);
    const planted = visitor.cookie;
    await visitor.post('/login', { json: ADA });
    const { requests } = (await visitor.get('/session')).json;
    assert.deepEqual(
      requests.map((r: { path: string }) => r.path),
      ['/session', '/login'],
    );
    assert.deepEqual(whats(requests[1]).slice(0, 2), ['loaded', 'renewed']);
    visitor.cookie = planted;
    const old = (await visitor.get('/session')).json;
    assert.deepEqual([old.stored, old.requests], [false, undefined]);
  });

  it('keeps 20 requests, without their queries', async () => {
    const visitor = shop.visitor();
    await visitor.post('/cart/lines', HAT);
    for (let n = 0; n < 25; n++) await visitor.get(`/cart?token=${n}`);
    const { json, text } = await visitor.get('/session');
    assert.equal(json.requests.length, 20);
    assert.doesNotMatch(text, /token/);
  });

  it('says which secret verified the cookie, while secrets are rotated', async (t) => {
    const visitor = shop.visitor();
    await visitor.post('/cart/lines', HAT);
    const secrets = `${'newer-secret-'.repeat(4)},${'only-for-tests-'.repeat(4)}`;
    const rotated = await startShop(store.backend, {}, { SESSION_SECRET: secrets });
    t.after(rotated.close);
    const later = rotated.visitor();
    later.cookie = visitor.cookie;
    assert.equal((await later.get('/session')).json.ticket.verifiedBy, 2);
    assert.equal((await later.get('/session')).json.ticket.verifiedBy, 1);
  });

  it('reads the cookie that identified the session, even in an unusual Cookie header', async () => {
    const visitor = shop.visitor();
    await visitor.post('/cart/lines', HAT);
    const [name, value] = (visitor.cookie ?? '').split('=');
    for (const cookie of [
      `a=b;\t${name}=${value}; ${name}=%`,
      `${name} =${value}; ${name}=%E0%A4%A`,
      `${name}="${value}"`,
    ]) {
      const { status, json } = await shop.visitor().get('/session', { headers: { cookie } });
      assert.deepEqual([status, json.ticket?.verifiedBy], [200, 1], cookie);
    }
  });

  it('records nothing in production until someone opens an X-ray', async (t) => {
    const production = { NODE_ENV: 'production', SESSION_STORE: 'redis', REDIS_URL: 'redis://r:1' };
    const https = { headers: { 'x-forwarded-proto': 'https' } };
    const proxied = { ...production, TRUST_PROXY: 'loopback' };
    const quiet = await startShop(store.backend, { storeName: store.name }, proxied);
    t.after(quiet.close);
    const visitor = quiet.visitor();
    await visitor.post('/cart/lines', { ...HAT, ...https });
    const asleep = await visitor.get('/session', {
      headers: { ...PAGE.headers, ...https.headers },
    });
    assert.match(asleep.text, /Nothing is recorded yet/);
    await visitor.get('/cart', https);
    const { requests } = (await visitor.get('/session', https)).json;
    assert.deepEqual(
      requests.map(({ path }: { path: string }) => path),
      ['/session', '/cart'],
    );
  });

  it('shows a toolbar on each page if the options ask for it', async (t) => {
    assert.doesNotMatch((await shop.visitor().get('/', PAGE)).text, /toolbar/);
    const asked = await startShop(store.backend, { toolbar: true });
    t.after(asked.close);
    const visitor = asked.visitor();
    await visitor.get('/', PAGE);
    assert.match(
      (await visitor.get('/', PAGE)).text,
      /loaded v1 · stored v2: views · 2 calls to the store/,
    );
    assert.match((await visitor.get('/nowhere', PAGE)).text, /loaded v2 · 1 call to the store,/);
    // A file is answered before the session is loaded.
    const { status, text } = await visitor.get('/assets/nothing.css', PAGE);
    assert.equal(status, 404);
    assert.doesNotMatch(text, /toolbar/);
  });
});

it('the X-ray keeps 500 sessions, and drops the one that has been unused longest', async (t) => {
  const shop = await startShop(memoryBackend());
  t.after(shop.close);
  const first = shop.visitor();
  const second = shop.visitor();
  await first.get('/');
  await second.get('/');
  await first.get('/');
  for (let n = 0; n < 499; n++) await shop.visitor().get('/');
  assert.equal((await first.get('/session')).json.requests.length, 3);
  assert.equal((await second.get('/session')).json.requests.length, 1);
});
