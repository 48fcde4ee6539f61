import assert from 'node:assert/strict';
import { after, before, beforeEach, it } from 'node:test';
import type { HttpClient } from '../../test-support/http-client.ts';
import { ADA, GRACE, PAGE, type Shop, startShop } from '../../test-support/start-shop.ts';
import { onEachStore } from '../../test-support/stores.ts';
import { sessionHandle } from '../session/index.ts';

const USER = { id: 'acct_ada', email: ADA.email, name: 'Ada' };
const denied = { errorMessage: 'Permission denied!' };

onEachStore('logging in and out', (store) => {
  let shop: Shop;
  let visitor: HttpClient;
  before(async () => {
    shop = await startShop(store.backend, { documents: store.documents });
  });
  after(() => shop.close());
  beforeEach(() => {
    visitor = shop.visitor();
  });

  const session = () => {
    const id = /s:(.+)\./.exec(decodeURIComponent(visitor.cookie ?? ''))?.[1] ?? '';
    return store.read(sessionHandle(id));
  };

  it('responds with the sanitized user as JSON: exactly id, email and name', async () => {
    const response = await visitor.post('/login', { json: ADA });
    assert.equal(response.status, 200);
    assert.deepEqual(response.json, { user: USER });
    assert.deepEqual((await session())?.user, USER);
    assert.deepEqual((await visitor.get('/')).json.user, USER);
  });

  it('redirects a form to the shop, or to the page that `next` names', async () => {
    const toShop = await visitor.post('/login', { ...PAGE, form: ADA });
    assert.deepEqual([toShop.status, toShop.headers.get('location')], [303, '/']);
    const back = await visitor.post('/login', { ...PAGE, form: { ...ADA, next: '/cart?a=1' } });
    assert.deepEqual([back.status, back.headers.get('location')], [303, '/cart?a=1']);
  });

  it('stores the session before it redirects, so the next page knows the user', async () => {
    await visitor.post('/login', { ...PAGE, form: ADA });
    const page = await visitor.get('/', PAGE);
    assert.match(page.text, /Log out<\/button>/);
    assert.match(page.text, /Welcome, Ada\./);
    assert.doesNotMatch((await visitor.get('/', PAGE)).text, /Welcome, Ada\./);
  });

  it('ignores case and spaces around the email address', async () => {
    const response = await visitor.post('/login', {
      json: { ...ADA, email: ' ADA@Cloakroom.test ' },
    });
    assert.equal(response.status, 200);
  });

  it('gives the same response to a wrong password, an unknown account and an empty form', async () => {
    const wrong = [
      { email: ADA.email, password: GRACE.password },
      { email: ADA.email, password: `${ADA.password} ` },
      { email: ADA.email, password: ADA.password.toUpperCase() },
      { email: 'nobody@cloakroom.test', password: ADA.password },
      { email: '__proto__', password: 'constructor' },
      { email: ADA.email },
      {},
    ];
    for (const json of wrong) {
      const response = await visitor.post('/login', { json });
      assert.deepEqual([response.status, response.json], [403, denied], JSON.stringify(json));
    }
    assert.equal(visitor.cookie, undefined);
  });

  it('shows the form again, with the email and without the password', async () => {
    const form = { email: 'ada@"<b>', password: 'wrong-secret', next: '/cart' };
    const { status, text } = await visitor.post('/login', { ...PAGE, form });
    assert.equal(status, 403);
    assert.match(text, /Wrong email or password\./);
    assert.match(text, /value="ada@&#34;&lt;b&gt;"/);
    assert.match(text, /name="next" value="\/cart"/);
    assert.doesNotMatch(text, /wrong-secret/);
  });

  it('responds with 422 and names the field, unless each field is a single string', async () => {
    for (const name of ['email', 'password']) {
      for (const value of [['a', 'b'], { $ne: '' }, 7, true, 'x'.repeat(1001)]) {
        const response = await visitor.post('/login', { json: { ...ADA, [name]: value } });
        assert.equal(response.status, 422);
        assert.match(response.json.errorMessage, new RegExp(`^${name} `));
      }
    }
    const twice = await visitor.post('/login', { form: `email=a&email=b&password=c` });
    assert.equal(twice.status, 422);
  });

  it('never refuses a form because of its `next` field, which the shop itself filled in', async () => {
    for (const [from, back] of [
      [`/account?utm=${'x'.repeat(1100)}`, '/account'],
      [`/orders/${'x'.repeat(1100)}?a=1`, '/'],
    ] as const) {
      const guest = shop.visitor();
      const link = (await guest.get(from, PAGE)).headers.get('location') ?? '';
      assert.ok(link.length < 100, link);
      const { text } = await guest.get(link, PAGE);
      const [, next = '?'] = /name="next" value="([^"]*)"/.exec(text) ?? [];
      const response = await guest.post('/login', { ...PAGE, form: { ...ADA, next } });
      assert.deepEqual([response.status, response.headers.get('location')], [303, back]);
    }
    for (const next of [`/cart?a=${'x'.repeat(1100)}`, ['/cart'], { a: 1 }, 7, 'evil.test'])
      for (const path of ['/login', '/register']) {
        const json = { ...ADA, email: path === '/login' ? ADA.email : 'bad', next };
        const { status, text } = await shop.visitor().post(path, { json });
        assert.equal(status, path === '/login' ? 200 : 422);
        assert.doesNotMatch(text, /next/);
      }
  });

  it('keeps the cart and the views, under a new id', async () => {
    await visitor.get('/');
    await visitor.post('/cart/lines', { json: { sku: 'bowler-hat', quantity: 2 } });
    const guest = visitor.cookie;
    await visitor.post('/login', { json: ADA });
    assert.notEqual(visitor.cookie, guest);
    const { json } = await visitor.get('/');
    assert.deepEqual([json.views, json.cart.count], [2, 2]);
  });

  it('keeps nothing from another user', async () => {
    await visitor.post('/login', { json: ADA });
    await visitor.post('/cart/lines', { json: { sku: 'bowler-hat' } });
    await visitor.post('/login', { json: GRACE });
    const { json } = await visitor.get('/');
    assert.deepEqual([json.user.name, json.views, json.cart.count], ['Grace', 1, 0]);
  });

  it('logs out by POST: deletes the session from the store and the cookie from the browser', async () => {
    await visitor.post('/login', { json: ADA });
    const old = visitor.cookie;
    const response = await visitor.post('/logout');
    assert.deepEqual([response.status, response.json], [200, {}]);
    assert.equal(visitor.cookie, undefined);
    visitor.cookie = old;
    assert.equal(await session(), undefined);
    assert.equal((await visitor.get('/')).json.user, null);
  });

  it('at log-out over HTTPS, clears what scripts may have stored (browsers ignore this over HTTP)', async (t) => {
    const clears = async (origin: Shop, headers: Record<string, string>) =>
      (await origin.visitor().post('/logout', { headers })).headers.get('clear-site-data');
    const proxied = await startShop(store.backend, {}, { TRUST_PROXY: 'loopback' });
    t.after(proxied.close);
    assert.equal(await clears(proxied, { 'x-forwarded-proto': 'https' }), '"storage"');
    assert.equal(await clears(proxied, {}), null);
    assert.equal(await clears(shop, { 'x-forwarded-proto': 'https' }), null);
  });

  it('redirects to the shop after a log-out form', async () => {
    const response = await visitor.post('/logout', PAGE);
    assert.deepEqual([response.status, response.headers.get('location')], [303, '/']);
    assert.equal(visitor.cookie, undefined);
  });

  it('changes nothing at GET /logout', async () => {
    await visitor.post('/login', { json: ADA });
    const page = await visitor.get('/logout', PAGE);
    assert.equal(page.status, 200);
    assert.match(page.text, /<form method="post" action="\/logout">/);
    assert.equal((await visitor.get('/')).json.user.name, 'Ada');
  });

  it('never shows the password hash or the session id', async () => {
    await visitor.post('/login', { json: ADA });
    const id = /s:(.+)\./.exec(decodeURIComponent(visitor.cookie ?? ''))?.[1] ?? '?';
    const shown = [
      (await visitor.get('/', PAGE)).text,
      (await visitor.get('/')).text,
      (await visitor.get('/cart', PAGE)).text,
      shop.log.join('\n'),
    ].join('\n');
    for (const secret of ['$2b$', ADA.password, id, id.slice(0, 12), 'sid='])
      assert.ok(!shown.includes(secret), secret);
  });
});
