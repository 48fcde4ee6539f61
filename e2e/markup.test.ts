// Every page, in each of its states, is valid HTML according to html-validate.

import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { HtmlValidate } from 'html-validate';
import { memoryBackend } from '../app/session/index.ts';
import type { HttpClient } from '../test-support/http-client.ts';
import { ADA, PAGE, type Shop, startShop } from '../test-support/start-shop.ts';

const html = new HtmlValidate({
  extends: ['html-validate:recommended', 'html-validate:document'],
  rules: {
    'require-sri': ['error', { target: 'crossorigin' }],
    'void-style': 'off', // a matter of taste
    'no-trailing-whitespace': 'off', // EJS leaves some
  },
});

let shop: Shop;
before(async () => {
  const lab = { outageSeconds: 60 };
  shop = await startShop(memoryBackend(), { toolbar: true, lab });
});
after(() => shop.close());

async function check(visitor: HttpClient, method: 'GET' | 'POST', path: string, form?: object) {
  const { text } = await visitor.request(method, path, { ...PAGE, ...(form && { form }) });
  assert.match(text, /^<!DOCTYPE html>/, path);
  const { results } = await html.validateString(text);
  const said = results.flatMap(({ messages }) =>
    messages.map(({ ruleId, message, line }) => `${line}: ${message} (${ruleId})`),
  );
  assert.deepEqual(said, [], `${method} ${path}`);
}

it('the pages of a guest', async () => {
  const visitor = shop.visitor();
  for (const path of ['/session', '/login', '/register', '/cart', '/', '/'])
    await check(visitor, 'GET', path);
  await visitor.post('/cart/lines', { ...PAGE, form: { sku: 'bowler-hat', quantity: '99' } });
  for (const path of ['/cart', '/session', '/logout', '/lab']) await check(visitor, 'GET', path);
});

it('the guide', async () => {
  await check(shop.visitor(), 'GET', '/guide');
  const { chapters } = (await shop.visitor().get('/guide')).json;
  for (const { slug } of chapters) await check(shop.visitor(), 'GET', `/guide/${slug}`);
  await check(shop.visitor(), 'GET', '/guide/source/app/app.test.ts');
});

it('the race lab after a race', async () => {
  let path = '/lab';
  for (const race of ['adds', 'log-out', 'tabs']) {
    const { headers } = await shop.visitor().post(path.replace('/lab', `/lab/${race}`), PAGE);
    path = headers.get('location')?.split('#', 1)[0] ?? '';
  }
  await check(shop.visitor(), 'GET', path);
});

it('the pages of a user', async () => {
  const visitor = shop.visitor();
  await visitor.post('/cart/lines', { json: { sku: 'wool-beret' } });
  await visitor.post('/login', { json: ADA });
  await check(visitor, 'GET', '/orders');
  for (const path of [
    '/',
    '/cart',
    '/session',
    '/account',
    '/account/password',
    '/login',
    '/logout',
  ])
    await check(visitor, 'GET', path);
  const order = await visitor.post('/checkout', { json: {} });
  await check(visitor, 'GET', `/orders/${order.json.id}`);
  await check(visitor, 'GET', '/orders');
});

it('the error pages', async () => {
  const visitor = shop.visitor();
  await check(visitor, 'GET', '/nowhere'); // 404
  await check(visitor, 'POST', '/'); // 405
  await check(visitor, 'POST', '/login', { email: ADA.email, password: 'wrong' }); // 403
  await check(visitor, 'POST', '/register', { email: 'nobody', name: '"><script>', password: 'x' }); // 422
  await visitor.post('/cart/lines', { json: { sku: 'bowler-hat', quantity: 99 } });
  await check(visitor, 'POST', '/cart/lines', { sku: 'bowler-hat' }); // 409
  await visitor.post('/lab/outage');
  await check(visitor, 'GET', '/cart'); // 503
});
