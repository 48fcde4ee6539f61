import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ADA, PAGE, startShop } from '../../test-support/start-shop.ts';
import { memoryBackend } from '../session/index.ts';

const EVE = { email: 'eve@example.test', name: 'Eve', password: 'a coat, a hat, an umbrella' };
const FORMS = [
  ['/login', ADA],
  ['/register', EVE],
  ['/cart/lines', { sku: 'bowler-hat' }],
  ['/cart/lines/bowler-hat', { quantity: '2' }],
  ['/cart/clear', {}],
] as const;

it('lets in a visitor who goes straight to the log-in page', async (t) => {
  const shop = await startShop(memoryBackend());
  t.after(shop.close);
  const browser = { headers: { ...PAGE.headers, origin: shop.origin } };
  for (const [path, form] of FORMS.slice(0, 2)) {
    const visitor = shop.visitor();
    const { headers } = await visitor.get(path, PAGE);
    assert.equal(headers.get('set-cookie'), 'cookies=on; Path=/; HttpOnly; SameSite=Lax');
    assert.equal((await visitor.get(path, PAGE)).headers.get('set-cookie'), null, 'once');
    assert.equal((await visitor.post(path, { ...browser, form })).status, 303);
    assert.equal((await visitor.get('/account')).status, 200);
    assert.equal((await visitor.get(path, PAGE)).headers.get('set-cookie'), null);
  }
});

it('a browser that sends no cookie back is told so; no session starts, and no failure is counted', async (t) => {
  const texts = new Map<string, string>();
  const shop = await startShop(memoryBackend(texts));
  t.after(shop.close);
  for (const sign of [{ origin: shop.origin }, { 'sec-fetch-site': 'same-origin' }])
    for (const [path, form] of [...FORMS, ...Array.from({ length: 10 }, () => FORMS[0])]) {
      const browser = { headers: { ...PAGE.headers, ...sign } };
      const response = await shop.visitor().post(path, { ...browser, form });
      assert.equal(response.status, 400, path);
      assert.match(response.text, /sent no cookie back.*allow cookies/);
      assert.match(
        response.headers.get('set-cookie') ?? '',
        /^cookies=on;/,
        'the next try may succeed',
      );
      if (path === '/login') assert.match(response.text, /value="ada@cloakroom\.test"/);
    }
  assert.equal(texts.size, 0);
  const visitor = shop.visitor();
  assert.equal((await visitor.post('/login', { json: ADA })).status, 200);
  assert.equal((await visitor.get('/account')).json.sessions.length, 1);
});

it('requires no cookie from programs, or from anybody who already has a session cookie, even an old one', async (t) => {
  const shop = await startShop(memoryBackend());
  t.after(shop.close);
  const origin = { origin: shop.origin };
  const program = { headers: { accept: 'application/json', ...origin }, json: ADA };
  assert.equal((await shop.visitor().post('/login', program)).status, 200);
  const bare = await shop.visitor().post('/login', { ...PAGE, form: ADA });
  assert.deepEqual([bare.status, bare.headers.getSetCookie().length], [303, 1]);
  const old = { headers: { ...PAGE.headers, ...origin, cookie: 'sid=s%3Aold.signature' } };
  assert.equal((await shop.visitor().post('/login', { ...old, form: ADA })).status, 303);
  assert.equal((await shop.visitor().get('/login')).headers.get('set-cookie'), null);
});

it('in production, its cookie has the same protection as the session cookie', async (t) => {
  const env = { NODE_ENV: 'production', TRUST_PROXY: 'loopback', SESSION_STORE: 'redis' };
  const shop = await startShop(memoryBackend(), {}, env);
  t.after(shop.close);
  const headers = { ...PAGE.headers, 'x-forwarded-proto': 'https' };
  const page = await shop.visitor().get('/login', { headers });
  assert.equal(
    page.headers.get('set-cookie'),
    '__Host-cookies=on; Path=/; HttpOnly; Secure; SameSite=Lax',
  );
});
