import assert from 'node:assert/strict';
import { after, before, beforeEach, it, type TestContext } from 'node:test';
import type { HttpClient } from '../../test-support/http-client.ts';
import { PAGE, type Shop, startShop } from '../../test-support/start-shop.ts';
import { DOCUMENT_STORES, onEachStore } from '../../test-support/stores.ts';
import type { SessionRecord } from '../session/index.ts';
import { createDocuments } from '../storage/documents.ts';
import { createOrders } from './orders.ts';

const PASSWORD = 'a coat, a hat, an umbrella';

onEachStore(
  'checkout, and the cart of an account',
  (store) => {
    let shop: Shop;
    let other: Shop; // shares no more with the first one than a second process would
    let email: string;
    let one: HttpClient;
    before(async () => {
      const options = { documents: store.documents };
      shop = await startShop(store.backend, options);
      other = await startShop(store.backend, options);
    });
    after(async () => {
      await shop.close();
      await other.close();
    });
    let people = 0;
    beforeEach(async () => {
      email = `buyer-${++people}@example.test`;
      one = shop.visitor();
      await one.post('/register', { json: { email, name: 'Buyer', password: PASSWORD } });
    });

    const add = (visitor: HttpClient, sku = 'bowler-hat', quantity = 1) =>
      visitor.post('/cart/lines', { json: { sku, quantity } });
    const count = async (visitor: HttpClient) => (await visitor.get('/cart')).json.count;
    const orders = async (visitor = one) => (await visitor.get('/orders')).json.orders;
    /** Another browser of the same person, on the other process. */
    async function secondDevice(guest = other.visitor()) {
      await guest.post('/login', { ...PAGE, form: { email, password: PASSWORD } });
      return guest;
    }
    /** What the form of the cart page sends. */
    async function form(visitor = one) {
      const { text } = await visitor.get('/cart', PAGE);
      const [, order] = /name="order" value="([^"]+)"/.exec(text) ?? [];
      const [, version] = /name="version" value="(\d+)"/.exec(text) ?? [];
      const [, totalCents] = /name="totalCents" value="(\d+)"/.exec(text) ?? [];
      return { order: order ?? '', version: version ?? '', totalCents: totalCents ?? '' };
    }

    it('keep the cart with the account on every device, and after log-out', async () => {
      await add(one);
      const two = await secondDevice();
      assert.equal(await count(two), 1);
      await add(two, 'wool-beret', 2);
      assert.equal(await count(one), 3);
      await two.post('/logout');
      assert.equal(await count(two), 0, 'a shared computer does not show it');
      assert.equal((await two.get('/')).json.cart.count, 0);
      assert.equal(await count(await secondDevice()), 3);
    });

    it('lose nothing when two devices add at the same time', async () => {
      const two = await secondDevice();
      const adds = Array.from({ length: 80 }, (_, n) => add(n % 2 ? one : two));
      for (const { status } of await Promise.all(adds)) assert.equal(status, 200);
      assert.equal(await count(one), 80);
    });

    it("add the guest's lines at log-in, say so and offer Undo", async () => {
      await add(one, 'bowler-hat', 98);
      const guest = other.visitor();
      await add(guest, 'bowler-hat', 3);
      await add(guest, 'wool-beret');
      await secondDevice(guest);
      const page = (await guest.get('/cart', PAGE)).text;
      assert.match(
        page,
        /2 items from this device did not fit.*2 items from this device were added to your cart\./s,
      );
      assert.equal(await count(one), 100);
      const undo = await guest.post('/cart/undo-merge', PAGE);
      assert.deepEqual([undo.status, undo.headers.get('location')], [303, '/cart']);
      assert.equal(await count(one), 98);
      assert.doesNotMatch((await guest.get('/cart', PAGE)).text, /from this device were added/);
    });

    it('add the guest’s lines once for a double click on Log in, and allow Undo after a password change', async () => {
      const guest = other.visitor();
      await add(guest, 'bowler-hat', 2);
      const clicks = [shop, other, shop].map(({ visitor }) => {
        const click = visitor();
        click.cookie = guest.cookie;
        return click.post('/login', { json: { email, password: PASSWORD } }).then(() => click);
      });
      const [first] = await Promise.all(clicks);
      assert.equal(await count(one), 2);
      const json = { currentPassword: PASSWORD, newPassword: 'an umbrella, a hat, a coat' };
      assert.equal((await first?.post('/account/password', { json }))?.status, 200);
      assert.equal((await first?.post('/cart/undo-merge'))?.json.count, 0);
      assert.equal((await first?.post('/cart/undo-merge'))?.status, 409, 'and not twice');
    });

    it('offer Undo until the cart is changed', async () => {
      const guest = other.visitor();
      await add(guest);
      await secondDevice(guest);
      for (let look = 0; look < 2; look++)
        assert.match((await guest.get('/', PAGE)).text, /1 item from this device was added/);
      await add(guest, 'wool-beret');
      assert.doesNotMatch((await guest.get('/', PAGE)).text, /from this device/);
    });

    it('place an order at the prices of the shop, and empty the cart', async () => {
      await add(one, 'bowler-hat', 2);
      const json = { totalCents: 17_800, lines: [{ unitPriceCents: 1 }], accountId: 'x' };
      const placed = await one.post('/checkout', { json });
      assert.equal(placed.status, 201);
      const { id, placedAt, ...rest } = placed.json;
      const line = { sku: 'bowler-hat', name: 'Bowler hat', unitPriceCents: 8900, quantity: 2 };
      const lines = [{ ...line, lineTotalCents: 17_800 }];
      assert.deepEqual(rest, { lines, count: 2, totalCents: 17_800, currency: 'EUR' });
      assert.ok(Math.abs(Date.parse(placedAt) - Date.now()) < 60_000);
      assert.equal(await count(one), 0);
      assert.deepEqual((await one.get(`/orders/${id}`)).json, placed.json);
      assert.deepEqual(await orders(), [placed.json]);
    });

    it('answer the form with 303 to the receipt, which says thank you once', async () => {
      await add(one);
      const response = await one.post('/checkout', { ...PAGE, form: await form() });
      const receipt = response.headers.get('location') ?? '';
      assert.equal(response.status, 303);
      assert.match(receipt, /^\/orders\/[\w-]{22}$/);
      assert.match((await one.get(receipt, PAGE)).text, /Thank you\..*Bowler hat/s);
      assert.doesNotMatch((await one.get(receipt, PAGE)).text, /Thank you\./);
      assert.match((await one.get('/orders', PAGE)).text, new RegExp(receipt));
    });

    it('place one order when the form is sent many times, from any device', async () => {
      const two = await secondDevice();
      await add(one, 'bowler-hat', 2);
      const sent = await form();
      const tabs = Array.from({ length: 20 }, (_, n) =>
        (n % 2 ? one : two).post('/checkout', { json: { ...sent } }),
      );
      const responses = await Promise.all(tabs);
      assert.deepEqual([...new Set(responses.map(({ status }) => status))], [201]);
      assert.equal(new Set(responses.map(({ json }) => json.id)).size, 1);
      assert.equal((await one.post('/checkout', { json: sent })).json.id, sent.order);
      assert.equal((await orders()).length, 1);
      assert.equal(await count(one), 0);
      await add(one);
      await one.post('/checkout', { json: sent });
      assert.equal(await count(one), 1, 'an item that was added later stays');
    });

    it('list the orders, newest first', async () => {
      const placed = [];
      for (const sku of ['bowler-hat', 'wool-beret', 'camel-overcoat']) {
        await add(one, sku);
        placed.unshift((await one.post('/checkout')).json);
      }
      assert.deepEqual(await orders(), placed);
    });

    it('list 50 orders a page, with a link to the older ones', async () => {
      const { user } = (await one.get('/')).json;
      const { place } = createOrders(createDocuments(store.documents));
      for (let n = 1; n <= 60; n++)
        await place({ id: `${user.id}-${n}`, accountId: user.id, placedAt: n, lines: [] });
      const ids = (response: { json: { orders: { id: string }[] } }) =>
        response.json.orders.map(({ id }) => Number(id.split('-').at(-1)));
      const first = await one.get('/orders');
      assert.deepEqual([ids(first).at(0), ids(first).at(-1)], [60, 11]);
      const [, next = ''] = /^<(.+)>; rel="next"$/.exec(first.headers.get('link') ?? '') ?? [];
      assert.match(
        (await one.get('/orders', PAGE)).text,
        new RegExp(`"${next.replace('?', '.')}">Older`),
      );
      const second = await one.get(next);
      assert.deepEqual([ids(second).at(0), ids(second).length], [10, 10]);
      assert.equal(second.headers.get('link'), null);
      assert.doesNotMatch((await one.get(next, PAGE)).text, /Older orders/);
      for (const page of ['0', '-1', 'x', '1e9', '999999999999', '1&before=2'])
        assert.equal(ids(await one.get(`/orders?before=${page}`))[0], 60, page);
    });

    it('place one order for many requests without form fields', async () => {
      await add(one);
      const tabs = Array.from({ length: 10 }, () => one.post('/checkout'));
      const placed = (await Promise.all(tabs)).filter(({ status }) => status === 201);
      assert.equal(new Set(placed.map(({ json }) => json.id)).size, 1);
      assert.equal((await orders()).length, 1);
    });

    it('refuse an empty cart, and a cart that differs from the form, with 409', async () => {
      assert.equal((await one.post('/checkout')).status, 409);
      await add(one);
      const sent = await form();
      await add(one);
      const changed = await one.post('/checkout', { ...PAGE, form: sent });
      assert.equal(changed.status, 409);
      assert.match(
        changed.text,
        /Your cart has changed, so nothing was ordered.*Back to the cart/s,
      );
      assert.equal((await one.post('/checkout', { json: { order: 'made-up' } })).status, 409);
      const bad = [
        { order: ['x'] },
        { order: 'x'.repeat(1001) },
        { version: 'x' },
        { totalCents: -1 },
      ];
      for (const json of bad)
        assert.equal((await one.post('/checkout', { json })).status, 422, 'a program learns which');
      for (const broken of [...bad.slice(1), { version: '' }, { totalCents: '1.5' }]) {
        const page = await one.post('/checkout', {
          ...PAGE,
          form: { ...(await form()), ...broken },
        });
        assert.equal(page.status, 409, 'the buyer did not fill in these fields');
        assert.match(page.text, /Your cart has changed.*Back to the cart/s);
      }
      assert.deepEqual(await orders(), []);
      assert.equal(await count(one), 2);
    });

    it("never show, list or repeat another account's order", async () => {
      await add(one);
      const { id } = (await one.post('/checkout')).json;
      const stranger = shop.visitor();
      const json = { email: `s-${email}`, name: 'Stranger', password: PASSWORD };
      await stranger.post('/register', { json });
      for (const options of [{}, PAGE])
        assert.equal((await stranger.get(`/orders/${id}`, options)).status, 404);
      assert.deepEqual(await orders(stranger), []);
      await add(stranger);
      assert.equal((await stranger.post('/checkout', { json: { order: id } })).status, 409);
      assert.equal((await one.get('/orders/none')).status, 404);
      assert.equal((await shop.visitor().get(`/orders/${id}`)).status, 401);
    });

    it('accept one of two tabs that show different carts with the same total', async () => {
      await add(one, 'felt-fedora');
      await add(one, 'striped-umbrella');
      const first = await form();
      await one.post('/cart/clear');
      await add(one, 'walking-umbrella', 2);
      const second = await form();
      assert.deepEqual([first.order, first.totalCents], [second.order, second.totalCents]);
      assert.equal((await one.post('/checkout', { json: second })).status, 201);
      assert.equal((await one.post('/checkout', { json: second })).status, 201, 'a second click');
      assert.equal((await one.post('/checkout', { json: first })).status, 409);
      const [{ lines }, ...others] = await orders();
      assert.deepEqual([lines.length, lines[0].quantity, others], [1, 2, []]);
    });

    it('send a guest to log in, and then back to the cart', async () => {
      const guest = shop.visitor();
      await add(guest);
      assert.equal((await guest.post('/checkout')).status, 401);
      const headers = { ...PAGE.headers, referer: `${shop.origin}/cart` };
      const response = await guest.post('/checkout', { headers, form: {} });
      assert.deepEqual(
        [response.status, response.headers.get('location')],
        [303, '/login?next=%2Fcart'],
      );
      assert.match((await guest.get('/cart', PAGE)).text, /Check out<\/button>/);
    });

    /** The shop on a store that refuses to write documents of one kind, while `down`. */
    async function failing(t: TestContext, kind: string) {
      const { documents, backend } = store;
      const state = { down: true };
      const compareAndSet: typeof documents.compareAndSet = (key, ...rest) =>
        state.down && key.startsWith(`${kind}:`)
          ? Promise.reject(new Error('down'))
          : documents.compareAndSet(key, ...rest);
      const options = { documents: { ...documents, compareAndSet } };
      const { visitor, close } = await startShop(backend, options);
      t.after(close);
      return { visitor, state };
    }

    it('continue the same order after a failure halfway', async (t) => {
      await add(one, 'bowler-hat', 2);
      const sent = await form();
      for (const kind of ['orders', 'order', 'cart']) {
        const visitor = (await failing(t, kind)).visitor();
        visitor.cookie = one.cookie;
        assert.equal((await visitor.post('/checkout', { json: sent })).status, 503, kind);
        assert.equal(await count(one), 2);
        assert.equal((await orders()).length, kind === 'cart' ? 1 : 0);
      }
      assert.equal((await one.post('/checkout', { json: sent })).json.id, sent.order);
      assert.equal((await orders()).length, 1);
      assert.equal(await count(one), 0);
    });

    it('never say thank you for an order that the form did not show', async (t) => {
      await add(one, 'camel-overcoat');
      const { order } = await form();
      const visitor = (await failing(t, 'cart')).visitor();
      visitor.cookie = one.cookie;
      assert.equal((await visitor.post('/checkout', { json: { order } })).status, 503);
      await one.post('/cart/clear');
      await add(one, 'wool-beret');
      const { status, json } = await one.post('/checkout', { json: await form() });
      assert.deepEqual(
        [status, json.errorMessage],
        [409, 'Your earlier order was placed; this one was not. See your orders.'],
      );
      assert.deepEqual(
        (await orders()).map((each: { totalCents: number }) => each.totalCents),
        [28_900],
      );
      assert.equal(await count(one), 1);
      assert.equal((await one.post('/checkout', { json: await form() })).json.totalCents, 3900);
    });

    it('add the lines that a log-in could not add, once, at the next request', async (t) => {
      const { visitor, state } = await failing(t, 'cart');
      const guest = visitor();
      await add(guest, 'bowler-hat', 2);
      const json = { email, password: PASSWORD };
      assert.equal((await guest.post('/login', { json })).status, 503);
      state.down = false;
      const looks = Array.from({ length: 5 }, () => guest.get('/cart'));
      for (const look of await Promise.all(looks)) assert.equal(look.json.count, 2);
      assert.equal(await count(one), 2);
    });

    it('do not say that lines did not fit when an earlier request added them', async (t) => {
      const { backend, documents } = store;
      let down = true;
      // The cart gets the lines, but the session cannot drop them.
      const compareAndSet: typeof backend.compareAndSet = (key, version, next, ttlMs) => {
        const { user, cart = {} } = (next ?? {}) as Partial<SessionRecord>;
        return down && user && Object.keys(cart).length === 0
          ? Promise.reject(new Error('down'))
          : backend.compareAndSet(key, version, next, ttlMs);
      };
      const options = { documents };
      const { visitor, close } = await startShop({ ...backend, compareAndSet }, options);
      t.after(close);
      const guest = visitor();
      await add(guest, 'bowler-hat', 2);
      const json = { email, password: PASSWORD };
      assert.equal((await guest.post('/login', { json })).status, 503);
      down = false;
      await add(one, 'wool-beret');
      const page = (await guest.get('/cart', PAGE)).text;
      assert.match(page, /Bowler hat.*Wool beret/s);
      assert.doesNotMatch(page, /did not fit/);
      assert.equal(await count(guest), 3);
    });
  },
  DOCUMENT_STORES,
);
