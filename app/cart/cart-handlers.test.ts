import assert from 'node:assert/strict';
import { after, before, beforeEach, it } from 'node:test';
import type { HttpClient } from '../../test-support/http-client.ts';
import { ADA, PAGE, type Shop, startShop } from '../../test-support/start-shop.ts';
import { onEachStore } from '../../test-support/stores.ts';

const HAT = { sku: 'bowler-hat', name: 'Bowler hat', unitPriceCents: 8900 };

onEachStore('the cart', (store) => {
  let shop: Shop;
  let visitor: HttpClient;
  before(async () => {
    shop = await startShop(store.backend, { documents: store.documents });
  });
  after(() => shop.close());
  beforeEach(() => {
    visitor = shop.visitor();
  });

  const add = (json: unknown) => visitor.post('/cart/lines', { json });
  const cart = async () => (await visitor.get('/cart')).json;

  it('starts empty, and a view of it stores nothing', async () => {
    assert.deepEqual(await cart(), { lines: [], count: 0, totalCents: 0, currency: 'EUR' });
    assert.equal(visitor.cookie, undefined);
  });

  it('adds one item or the given quantity, and responds with the cart', async () => {
    assert.equal((await add({ sku: HAT.sku })).json.count, 1);
    const { status, json } = await add({ sku: HAT.sku, quantity: 2 });
    assert.equal(status, 200);
    assert.deepEqual(json, {
      lines: [{ ...HAT, quantity: 3, lineTotalCents: 26_700 }],
      count: 3,
      totalCents: 26_700,
      currency: 'EUR',
    });
    assert.deepEqual(await cart(), json);
  });

  it('sets a quantity, removes a line at 0, and empties the cart', async () => {
    await add({ sku: HAT.sku, quantity: 2 });
    await add({ sku: 'wool-beret' });
    const set = await visitor.post('/cart/lines/bowler-hat', { json: { quantity: 99 } });
    assert.equal(set.json.count, 100);
    const removed = await visitor.post('/cart/lines/bowler-hat', { json: { quantity: 0 } });
    assert.deepEqual([removed.json.count, removed.json.lines.length], [1, 1]);
    assert.deepEqual((await visitor.post('/cart/clear')).json.lines, []);
  });

  it('answers a form with 303 to the cart, which says once what happened', async () => {
    const form = { sku: HAT.sku, quantity: '2' };
    const added = await visitor.post('/cart/lines', { ...PAGE, form });
    assert.deepEqual([added.status, added.headers.get('location')], [303, '/cart']);
    // A program that reads a page meanwhile does not take the flash.
    await visitor.get('/');
    await visitor.get('/cart');
    assert.match((await visitor.get('/cart', PAGE)).text, /Bowler hat added\./);
    const page = (await visitor.get('/cart', PAGE)).text;
    assert.doesNotMatch(page, /added\./);
    assert.match(page, /value="2"/);
    for (const path of ['/cart/lines/bowler-hat', '/cart/clear']) {
      const { status } = await visitor.post(path, { ...PAGE, form: { quantity: '0' } });
      assert.equal(status, 303);
    }
  });

  it('stays in the shop when the form asks for it, and never leaves this site', async () => {
    const responseTo = async (next: unknown) => {
      const form = { sku: HAT.sku, next };
      const { status, headers } = await visitor.post('/cart/lines', { ...PAGE, form });
      return [status, headers.get('location')];
    };
    assert.deepEqual(await responseTo('/'), [303, '/']);
    assert.match((await visitor.get('/', PAGE)).text, />Bowler hat added\.</);
    assert.deepEqual(await responseTo('//evil.test'), [303, '/']);
  });

  it('offers to undo a removal, until the cart changes, and does it only once', async () => {
    const lines = async () => (await cart()).lines.map((l: { sku: string }) => l.sku).toSorted();
    const send = (path: string, quantity?: string) =>
      visitor.post(path, { ...PAGE, form: quantity ? { quantity } : {} });
    await add({ sku: HAT.sku, quantity: 3 });
    await add({ sku: 'wool-beret' });
    await send('/cart/lines/bowler-hat', '0');
    await send('/cart/lines/bowler-hat', '0'); // a double click
    assert.match((await visitor.get('/cart', PAGE)).text, />Bowler hat removed\.<[\s\S]*>Undo</);
    const undone = await Promise.all([send('/cart/undo'), send('/cart/undo')]);
    for (const { status, headers } of undone)
      assert.deepEqual([status, headers.get('location')], [303, '/cart']);
    assert.equal((await cart()).count, 4);
    assert.doesNotMatch((await visitor.get('/cart', PAGE)).text, />Undo</);
    await send('/cart/clear');
    assert.match((await visitor.get('/cart', PAGE)).text, />2 products removed\.</);
    assert.equal((await visitor.post('/cart/undo')).json.count, 4);
    await send('/cart/clear');
    await add({ sku: 'felt-fedora' });
    assert.doesNotMatch((await visitor.get('/cart', PAGE)).text, />Undo</);
    assert.deepEqual((await visitor.post('/cart/undo')).json.count, 1, 'too late');
    assert.deepEqual(await lines(), ['felt-fedora']);
  });

  it('lets a user undo a removal in the same browser', async () => {
    await visitor.post('/login', { json: ADA });
    await add({ sku: HAT.sku, quantity: 3 });
    await visitor.post('/cart/clear', PAGE);
    assert.match((await visitor.get('/cart', PAGE)).text, />Bowler hat removed\.<[\s\S]*>Undo</);
    assert.equal((await visitor.post('/cart/undo', PAGE)).status, 303);
    assert.equal((await cart()).count, 3);
    assert.doesNotMatch((await visitor.get('/cart', PAGE)).text, />Undo</);
    await visitor.post('/cart/clear');
  });

  it('says next to a full line that it is full, and disables its plus button', async () => {
    await add({ sku: HAT.sku, quantity: 98 });
    assert.doesNotMatch((await visitor.get('/cart', PAGE)).text, /at most/);
    await add({ sku: HAT.sku });
    const { text } = await visitor.get('/cart', PAGE);
    assert.match(text, /id="limit-bowler-hat">at most 99 of each product</);
    assert.match(text, /id="more-bowler-hat"[^>]* disabled/);
  });

  it('shows the cart and the reason when one more does not fit', async () => {
    await visitor.post('/cart/lines', { json: { sku: 'bowler-hat', quantity: 99 } });
    const { status, text } = await visitor.post('/cart/lines', {
      ...PAGE,
      form: { sku: 'bowler-hat' },
    });
    assert.equal(status, 409);
    assert.match(
      text,
      /<h1>Your cart<.*role="alert">A cart holds at most 99 .*Quantity of Bowler hat/s,
    );
  });

  it('says that the last session has ended, then what was added to the new one', async () => {
    visitor.cookie = 'sid=s%3Agone.gone';
    await visitor.post('/cart/lines', { ...PAGE, form: { sku: HAT.sku } });
    const { text } = await visitor.get('/cart', PAGE);
    assert.match(text, />Your last session has ended. This is a new one. Bowler hat added.</);
  });

  it('refuses bad input with the right status, names the field and changes nothing', async () => {
    await add({ sku: HAT.sku, quantity: 5 });
    const unchanged = await cart();
    const quantities = [
      ...[0, 100, -1, 1.5, '1.5', '1e2', ' 1', '', null, true, '__proto__', 'NaN'],
      ...[[1], ['1'], { valueOf: 1 }, [], 2 ** 53],
    ];
    for (const quantity of quantities) {
      const response = await add({ sku: HAT.sku, quantity });
      assert.equal(response.status, 422, JSON.stringify(quantity));
      assert.match(response.json.errorMessage, /^quantity /);
    }
    for (const number of ['1e309', '-0', '1e-7', 'NaN', '0x10']) {
      const json = `{"sku":"bowler-hat","quantity":${number}}`;
      assert.ok([400, 422].includes((await visitor.post('/cart/lines', { json })).status), number);
    }
    const skus = [
      'top-hat',
      '__proto__',
      'constructor',
      '',
      ['bowler-hat'],
      { a: 1 },
      7,
      undefined,
    ];
    for (const sku of skus) {
      const response = await add({ sku });
      assert.equal(response.status, 422, JSON.stringify(sku));
      assert.match(response.json.errorMessage, /^sku /);
    }
    for (const form of ['sku=bowler-hat&sku=wool-beret', 'sku=bowler-hat&quantity=1&quantity=2'])
      assert.equal((await visitor.post('/cart/lines', { form })).status, 422, form);
    for (const json of ['[]', '"text"', '7', 'null', '[{"sku":"bowler-hat"}]'])
      assert.ok([400, 422].includes((await visitor.post('/cart/lines', { json })).status), json);
    assert.ok([400, 422].includes((await visitor.post('/cart/lines')).status));
    assert.deepEqual(await cart(), unchanged);
  });

  it('refuses a bad quantity for a line, and an unknown product', async () => {
    for (const quantity of [-1, 100, 1.5, '', [1], undefined]) {
      const response = await visitor.post('/cart/lines/bowler-hat', { json: { quantity } });
      assert.equal(response.status, 422);
      assert.match(response.json.errorMessage, /^quantity /);
    }
    const minusNone = { json: '{"quantity":-0}' };
    assert.equal((await visitor.post('/cart/lines/bowler-hat', minusNone)).status, 422);
    for (const sku of ['top-hat', '__proto__', 'bowler-hat%00']) {
      const response = await visitor.post(`/cart/lines/${sku}`, { json: { quantity: 1 } });
      assert.equal(response.status, 404, sku);
      assert.match(response.json.errorMessage, /sku/);
    }
    assert.equal((await visitor.post('/cart/lines/%zz', { json: { quantity: 1 } })).status, 400);
    assert.equal((await cart()).count, 0);
  });

  it('ignores prices and totals that a client sends, and does not pollute Object.prototype', async () => {
    const json = `{"sku":"bowler-hat","unitPriceCents":1,"priceCents":1,"user":{"id":"x"},"views":9,
      "__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}`;
    const response = await visitor.post('/cart/lines', { json });
    assert.equal(response.json.totalCents, 8900);
    assert.equal('polluted' in {}, false);
    const shown = (await visitor.get('/')).json;
    assert.deepEqual([shown.user, shown.views], [null, 1]);
  });

  it('stores every add that it acknowledged, and refuses the hundredth with 409', async () => {
    await visitor.get('/');
    const responses = await Promise.all(Array.from({ length: 200 }, () => add({ sku: HAT.sku })));
    const statuses = Map.groupBy(responses, ({ status }) => status);
    assert.deepEqual([...statuses.keys()].toSorted(), [200, 409]);
    assert.equal(statuses.get(200)?.length, 99);
    assert.equal((await cart()).count, 99);
    assert.match(statuses.get(409)?.[0]?.json.errorMessage, /at most 99 .* Nothing was changed/);
  });
});
