import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import bcrypt from 'bcrypt';
import type { HttpClient } from '../../test-support/http-client.ts';
import { ADA, PAGE, type Shop, startShop } from '../../test-support/start-shop.ts';
import { DOCUMENT_STORES, onEachStore } from '../../test-support/stores.ts';
import { createDocuments } from '../storage/documents.ts';
import { createAccounts } from './accounts.ts';

const PASSWORD = 'a coat, a hat, an umbrella';
const NEXT = 'an umbrella, a hat, a coat';

onEachStore(
  'an account',
  (store) => {
    let shop: Shop;
    before(async () => {
      const { documents } = store;
      shop = await startShop(store.backend, { documents });
    });
    after(() => shop.close());

    let people = 0;
    /** A new account, and a way to log in to it from another browser. */
    async function somebody() {
      const email = `person-${++people}@example.test`;
      const json = { email, name: 'Person', password: PASSWORD };
      const one = shop.visitor();
      assert.equal((await one.post('/register', { json })).status, 201);
      const logIn = (password = PASSWORD, headers = {}) => {
        const visitor = shop.visitor();
        const response = visitor.post('/login', { json: { email, password }, headers });
        return response.then(({ status }) => ({ visitor, status }));
      };
      return { email, one, logIn };
    }
    const stored = async (email: string) =>
      (await createAccounts(createDocuments(store.documents)).find(email)) ?? assert.fail();
    const isIn = async (visitor: HttpClient) => (await visitor.get('/account')).status === 200;
    const devices = async (visitor: HttpClient) => (await visitor.get('/account')).json.sessions;

    it('is created by registering, and logged in at once', async () => {
      const visitor = shop.visitor();
      const form = { email: 'New@Example.test', name: 'New', password: PASSWORD, next: '/cart' };
      const { status, headers } = await visitor.post('/register', { ...PAGE, form });
      assert.deepEqual([status, headers.get('location')], [303, '/cart']);
      const { user } = (await visitor.get('/')).json;
      assert.deepEqual(Object.keys(user), ['id', 'email', 'name']);
      assert.equal(user.email, 'new@example.test');
      assert.equal((await shop.visitor().post('/login', { json: form })).status, 200);
    });

    it('keeps the cart and the views of a guest who registers, under a new id', async () => {
      const visitor = shop.visitor();
      await visitor.get('/');
      await visitor.post('/cart/lines', { json: { sku: 'bowler-hat', quantity: 2 } });
      const guest = visitor.cookie;
      const json = { email: 'guest@example.test', name: 'Guest', password: PASSWORD };
      await visitor.post('/register', { json });
      assert.notEqual(visitor.cookie, guest);
      const { views, cart } = (await visitor.get('/')).json;
      assert.deepEqual([views, cart.count], [2, 2]);
    });

    it('is not created twice, and the refusal does not say whether the address is taken', async () => {
      const { email } = await somebody();
      for (const taken of [email, email.toUpperCase(), ADA.email]) {
        const json = { email: taken, name: 'Other', password: PASSWORD };
        const { status, json: body } = await shop.visitor().post('/register', { json });
        assert.equal(status, 409);
        assert.doesNotMatch(body.errorMessage, /taken|exists|@/);
      }
    });

    it('is not created from bad fields: 422 names the field, and the form keeps the others', async () => {
      const good = { email: 'bad@example.test', name: 'Bad <b>', password: PASSWORD };
      for (const [field, value] of [
        ['email', 'bad'],
        ['name', ''],
        ['password', 'too short'],
        ['password', ['a', 'b']],
      ] as const) {
        const json = { ...good, [field]: value };
        const response = await shop.visitor().post('/register', { json });
        assert.deepEqual([response.status, response.json.errorMessage.split(' ')[0]], [422, field]);
      }
      const form = { ...good, password: 'too short' };
      const { status, text } = await shop.visitor().post('/register', { ...PAGE, form });
      assert.equal(status, 422);
      assert.match(text, /value="bad@example.test"/);
      assert.match(text, /value="Bad &lt;b&gt;"/);
      assert.doesNotMatch(text, /too short/);
    });

    it('asks guests to log in: 401 as JSON, or the log-in page and then back', async () => {
      for (const path of ['/account', '/account/password', '/orders', '/orders/1']) {
        assert.equal((await shop.visitor().get(path)).status, 401);
        const page = await shop.visitor().get(path, PAGE);
        const next = `/login?next=${encodeURIComponent(path)}`;
        assert.deepEqual([page.status, page.headers.get('location')], [303, next]);
      }
      for (const path of ['password', 'confirm', 'sessions/end-others', 'sessions/x/end'])
        assert.equal((await shop.visitor().post(`/account/${path}`)).status, 401);
    });

    it('lists its sessions: device, log-in, last use, and which one this is', async () => {
      const { one, logIn } = await somebody();
      const userAgent =
        'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0';
      await sleep(2); // log-ins differ by their millisecond
      await logIn(PASSWORD, { 'user-agent': userAgent });
      const { user, sessions } = (await one.get('/account')).json;
      assert.deepEqual(Object.keys(user), ['id', 'email', 'name']);
      assert.deepEqual(
        sessions.map((s: object) => Object.keys(s)),
        [1, 2].map(() => ['handle', 'device', 'since', 'lastSeen', 'bound', 'current']),
      );
      const [here, there] = sessions;
      assert.deepEqual([here.current, there.current], [true, false]);
      assert.equal(there.device, 'Firefox on Windows');
      for (const { since, lastSeen } of sessions)
        assert.ok(Date.parse(lastSeen) >= Date.parse(since));
      const page = (await one.get('/account', PAGE)).text;
      assert.match(page, /this browser.*Firefox on Windows/s);
      assert.match(page, /Last log-in<\/dt>\s*<dd><time.*Firefox on Windows, 127\.0\.0\.1/s);
    });

    it('ends one session: that browser is logged out at its next request, and the page says so', async () => {
      const { one, logIn } = await somebody();
      const { visitor: two } = await logIn();
      const { visitor: three } = await logIn();
      await two.get('/');
      const handles: string[] = (await devices(one)).map((s: { handle: string }) => s.handle);
      const mine = (await devices(two)).find((s: { current: boolean }) => s.current).handle;
      assert.ok(handles.includes(mine));
      assert.equal((await one.post(`/account/sessions/${mine}/end`)).status, 200);
      assert.match((await two.get('/', PAGE)).text, /You were logged out here/);
      assert.equal((await two.get('/')).json.user, null);
      assert.equal(await isIn(two), false);
      assert.equal(await isIn(three), true);
      assert.equal((await devices(one)).length, 2);
    });

    it('ends all other sessions, but not this one', async () => {
      const { one, logIn } = await somebody();
      const others = [await logIn(), await logIn()].map(({ visitor }) => visitor);
      assert.equal((await one.post('/account/sessions/end-others')).status, 200);
      assert.deepEqual(await Promise.all([one, ...others].map(isIn)), [true, false, false]);
    });

    it("responds with 404 to the handle of another account's session, and does not end it", async () => {
      const { one } = await somebody();
      const { one: other } = await somebody();
      const [{ handle }] = await devices(other);
      for (const wrong of [handle, 'x', '__proto__', 'constructor'])
        assert.equal((await one.post(`/account/sessions/${wrong}/end`)).status, 404, wrong);
      assert.equal(await isIn(other), true);
    });

    it('drops a session that logs out', async () => {
      const { email, one, logIn } = await somebody();
      await logIn();
      await one.post('/logout');
      assert.equal(Object.keys((await stored(email)).sessions).length, 1);
    });

    it('asks for the password again before it ends sessions if 10 minutes have passed since it was entered', async (t) => {
      const { one, logIn } = await somebody();
      const { visitor: two } = await logIn();
      t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 10 * 60_000 + 1 });
      const end = (json = {}) => one.post('/account/sessions/end-others', { json });
      assert.equal((await end()).status, 422);
      assert.match(
        (await one.get('/account', PAGE)).text,
        /Enter your password to end other sessions/,
      );
      assert.equal((await end({ password: 'wrong' })).status, 403);
      assert.equal(await isIn(two), true);
      assert.equal(
        (await one.post('/account/confirm', { json: { password: PASSWORD } })).status,
        200,
      );
      assert.equal((await end()).status, 200, 'without the password for 10 more minutes');
      assert.equal(await isIn(two), false);
    });

    it('allows ten wrong passwords in three minutes, whatever email the request names', async () => {
      const { one } = await somebody();
      const guess = async (n: number) => {
        const json = { password: 'wrong', email: `other-${n}@example.test` };
        return (await one.post('/account/confirm', { json })).status;
      };
      const statuses = [];
      for (let n = 0; n < 12; n++) statuses.push(await guess(n));
      assert.deepEqual(statuses, [...Array.from({ length: 10 }, () => 403), 429, 429]);
    });

    it('greets the user once, on any page after log-in', async () => {
      const { email } = await somebody();
      const visitor = shop.visitor();
      await visitor.post('/login', {
        ...PAGE,
        form: { email, password: PASSWORD, next: '/orders' },
      });
      assert.match((await visitor.get('/orders', PAGE)).text, /Welcome, Person\./);
      assert.doesNotMatch((await visitor.get('/orders', PAGE)).text, /Welcome, Person\./);
    });

    it('changes its password: all other sessions end, and this one gets a new id', async () => {
      const { one, logIn } = await somebody();
      const { visitor: two } = await logIn();
      const { cookie } = one;
      const json = { currentPassword: PASSWORD, newPassword: NEXT };
      assert.equal((await one.post('/account/password', { json })).status, 200);
      assert.notEqual(one.cookie, cookie);
      assert.deepEqual([await isIn(one), await isIn(two)], [true, false]);
      assert.equal((await logIn(PASSWORD)).status, 403);
      assert.equal((await logIn(NEXT)).status, 200);
      const old = shop.visitor();
      old.cookie = cookie;
      assert.equal(await isIn(old), false);
    });

    it('answers both clicks of a double click truthfully when it registers or changes the password', async (t) => {
      // At this cost, the second click arrives during the first.
      const slow = { documents: store.documents, hashCost: 10 };
      const busy = await startShop(store.backend, slow);
      t.after(busy.close);
      const visitor = busy.visitor();
      const twice = async (path: string, json: object) => {
        const click = async () => {
          const clicked = Object.assign(busy.visitor(), { cookie: visitor.cookie });
          const response = await clicked.post(path, { json });
          if (response.status < 300) visitor.cookie = clicked.cookie;
          return response;
        };
        const responses = await Promise.all([click(), click()]);
        const [first, second] = responses.toSorted((a, b) => a.status - b.status);
        assert.deepEqual([first?.headers.has('set-cookie'), second?.status], [true, 409]);
        return second?.json.errorMessage;
      };
      const email = `twice-${++people}@example.test`;
      const made = await twice('/register', { email, name: 'Person', password: PASSWORD });
      assert.match(made, /^We couldn't create that account\. Already registered\? Log in\./);
      const changed = await twice('/account/password', {
        currentPassword: PASSWORD,
        newPassword: NEXT,
      });
      assert.match(changed, /^Your password was changed a moment ago/);
      assert.equal(await bcrypt.compare(NEXT, (await stored(email)).passwordHash), true);
    });

    it('does not change its password when the current one is wrong or the new one is bad', async () => {
      const { one, logIn } = await somebody();
      const change = (currentPassword: string, newPassword: string) =>
        one.post('/account/password', { json: { currentPassword, newPassword } });
      assert.equal((await change('wrong', NEXT)).status, 403);
      for (const bad of ['short', PASSWORD, 'person-person-person']) {
        const { status, json } = await change(PASSWORD, bad);
        assert.deepEqual([status, json.errorMessage.split(' ')[0]], [422, 'newPassword'], bad);
      }
      const page = (currentPassword: string, newPassword: string) =>
        one.post('/account/password', { ...PAGE, form: { currentPassword, newPassword } });
      const wrong = await page('wrong', NEXT);
      assert.equal(wrong.status, 403);
      assert.match(wrong.text, /Wrong password\..*name="currentPassword"/s);
      assert.match((await page(PASSWORD, 'short')).text, /The new password must have at least 15/);
      assert.equal((await logIn(PASSWORD)).status, 200);
    });

    it('has at most ten sessions: the eleventh log-in ends the one that has been idle longest, and says so', async () => {
      const { one, logIn } = await somebody();
      const more = [];
      for (let n = 0; n < 9; n++) more.push((await logIn()).visitor);
      assert.equal((await devices(one)).length, 10);
      for (const visitor of more.slice(1)) await visitor.get('/');
      await one.get('/');
      const eleventh = shop.visitor();
      const form = { email: (await one.get('/account')).json.user.email, password: PASSWORD };
      await eleventh.post('/login', { ...PAGE, form });
      assert.match(
        (await eleventh.get('/', PAGE)).text,
        /the session that had been idle longest was ended/,
      );
      const still = await Promise.all([one, ...more, eleventh].map(isIn));
      assert.deepEqual(still, [true, false, ...still.slice(2).map(() => true)]);
    });

    it('counts a browser that logs in again and again as one session', async () => {
      const { email, one, logIn } = await somebody();
      const { visitor } = await logIn();
      for (let n = 0; n < 11; n++)
        await visitor.post('/login', { json: { email, password: PASSWORD } });
      assert.equal(await isIn(one), true);
      assert.equal((await devices(one)).length, 2);
    });

    it('stays logged in after the browser closes only if asked to', async () => {
      const { email } = await somebody();
      const cookieOf = async (keep: object) => {
        const json = { email, password: PASSWORD, ...keep };
        return (await shop.visitor().post('/login', { json })).headers.get('set-cookie') ?? '';
      };
      assert.doesNotMatch(await cookieOf({}), /Expires|Max-Age/);
      assert.doesNotMatch(await cookieOf({ keep: false }), /Expires|Max-Age/);
      const [, expires = ''] = /Expires=([^;]+)/.exec(await cookieOf({ keep: true })) ?? [];
      const hours = (Date.parse(expires) - Date.now()) / 3_600_000;
      assert.ok(hours > 11.9 && hours <= 12, `${hours} hours`);
      const form = { email, password: PASSWORD, keep: 'on' };
      const ticked = await shop.visitor().post('/login', { ...PAGE, form });
      assert.match(ticked.headers.get('set-cookie') ?? '', /Expires=/);
      for (const keep of ['off', 'true', 1, null, ['on']]) {
        const json = { email, password: PASSWORD, keep };
        const { status, json: said } = await shop.visitor().post('/login', { json });
        assert.deepEqual(
          [status, said.errorMessage?.split(' ')[0]],
          [422, 'keep'],
          JSON.stringify(keep),
        );
      }
    });

    it('sends a persistent cookie once, so that a late response cannot bring back the old id', async () => {
      const { email, one } = await somebody();
      const json = { email, password: PASSWORD, keep: true };
      assert.match(
        (await one.post('/login', { json })).headers.get('set-cookie') ?? '',
        /Expires=/,
      );
      const earlier = [
        await one.get('/'),
        await one.post('/cart/lines', { ...PAGE, form: { sku: 'bowler-hat' } }),
        await one.get('/cart', PAGE),
        await one.post('/account/confirm', { json: { password: PASSWORD } }),
      ];
      const change = { json: { currentPassword: PASSWORD, newPassword: NEXT } };
      const { headers } = await one.post('/account/password', change);
      const [, expires = ''] = /Expires=([^;]+)/.exec(headers.get('set-cookie') ?? '') ?? [];
      assert.ok(Date.parse(expires) - Date.now() > 11.9 * 3_600_000, 'as long as before');
      // Each of these may reach the browser later.
      for (const response of earlier) assert.equal(response.headers.get('set-cookie'), null);
    });

    it('stays logged in as long as before when the secret is rotated', async (t) => {
      const { email } = await somebody();
      const visitor = shop.visitor();
      const json = { email, password: PASSWORD, keep: true };
      await visitor.post('/login', { json });
      const { documents } = store;
      const env = { SESSION_SECRET: `a new one,${'only-for-tests-'.repeat(4)}` };
      const rotated = await startShop(store.backend, { documents }, env);
      t.after(rotated.close);
      const there = rotated.visitor();
      there.cookie = visitor.cookie;
      const { headers } = await there.get('/login');
      const [, expires = ''] = /Expires=([^;]+)/.exec(headers.get('set-cookie') ?? '') ?? [];
      assert.ok(Date.parse(expires) - Date.now() > 11.9 * 3_600_000, expires);
    });

    it('hashes its password again at log-in when the cost has risen', async () => {
      const { email, logIn } = await somebody();
      const { documents } = store;
      const dearer = await startShop(store.backend, { documents, hashCost: 5 });
      const json = { email, password: PASSWORD };
      assert.equal((await dearer.visitor().post('/login', { json })).status, 200);
      await dearer.close();
      assert.equal(bcrypt.getRounds((await stored(email)).passwordHash), 5);
      assert.equal((await logIn()).status, 200);
    });

    it('never shows a hash, and never logs a handle', async () => {
      const { one } = await somebody();
      for (const path of ['/account', '/account/password', '/'])
        for (const options of [{}, PAGE])
          assert.doesNotMatch((await one.get(path, options)).text, /\$2b\$/);
      const [{ handle }] = await devices(one);
      await one.post(`/account/sessions/${handle}/end`);
      assert.doesNotMatch(shop.log.join('\n'), /\$2b\$|a coat, a hat/);
      assert.ok(!shop.log.join('\n').includes(handle));
    });
  },
  DOCUMENT_STORES,
);
