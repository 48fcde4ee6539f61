import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { isDeepStrictEqual, promisify } from 'node:util';
import express, { type ErrorRequestHandler, type Request } from 'express';
import expressSession, {
  MemoryStore,
  type Session,
  type SessionOptions,
  type Store,
} from 'express-session';
import fc from 'fast-check';
import { beforeTheEnd, Gate } from '../../test-support/gate.ts';
import { type HttpClient, httpClient } from '../../test-support/http-client.ts';
import { type Listening, listen } from '../../test-support/listen.ts';
import { onEachStore } from '../../test-support/stores.ts';
import { until } from '../../test-support/until.ts';
import {
  type Backend,
  type DropInEvent,
  type DropInOptions,
  dropInStore,
  memoryBackend,
  newSessionId,
  sessionHandle,
} from '../session/index.ts';

const MINUTE = 60_000;
// biome-ignore lint/suspicious/noExplicitAny: the app under test declares no fields.
type Loose = any;
const fields = (req: Request) => req.session as Loose;

const sessionIdOf = ({ cookie = '' }: HttpClient) =>
  /s:(.+)\./.exec(decodeURIComponent(cookie))?.[1] ?? '';

/** An app as the tutorials write it: it uses nothing of this module except the store. */
function plainApp(store: Store, gate: Gate, more: Partial<SessionOptions> = {}) {
  const app = express();
  app.set('env', 'test'); // Express then prints no errors
  app.use(
    expressSession({
      store,
      secret: 'keyboard cat',
      resave: false,
      saveUninitialized: false,
      ...more,
    }),
  );
  app.get('/', (req, res) => res.json(req.session));
  app.post('/log-in', (req, res, next) => {
    (req.session as Session).regenerate((error) => {
      if (error) return next(error);
      fields(req).user = 'Ada';
      res.json({});
    });
  });
  app.post('/log-out', (req, res, next) => {
    (req.session as Session).destroy((error) => (error ? next(error) : res.json({})));
  });
  app.post('/save-twice', async (req, res) => {
    const session = fields(req);
    Object.assign(session, { x: 1, flash: 'hello', views: session.views + 1 });
    const saved = new Promise((resolve) => session.save(resolve));
    if ('wait-for-save' in req.query) await saved;
    Object.assign(session, { x: 0, views: session.views + 1 });
    delete session.flash;
    res.json({});
  });
  app.post('/expire/:how', (req, res) => {
    fields(req).note = 'bye';
    const { cookie } = req.session as Session;
    if (req.params.how === 'max-age') cookie.maxAge = 0;
    else if (req.params.how === 'with-browser')
      cookie.expires = false as never; // as its README says
    else cookie.expires = new Date(0);
    res.json({});
  });
  app.post('/redirect', async (req, res) => {
    fields(req).flash = 'hello';
    if ('save' in req.query) await new Promise((resolve) => (req.session as Session).save(resolve));
    res.redirect('/');
  });
  /** Loads the session, waits at the gate, then edits it. */
  app.post('/edit', express.json(), async (req, res) => {
    if ('wait' in req.query) await gate.pass();
    applyEdits(fields(req), req.body);
    res.json({});
  });
  const reportFaults: ErrorRequestHandler = (error, _req, _res, next) => {
    faults.push(error.name);
    next(error);
  };
  return app.use(reportFaults);
}

/** Sets the fields at these paths. null deletes a field, and '+1' adds to a number. */
function applyEdits(session: Loose, changes: Record<string, unknown>): void {
  for (const [path, value] of Object.entries(changes)) {
    const names = path.split('.');
    const last = names.pop() ?? '';
    let place = session;
    for (const name of names) place = place[name] ??= {};
    if (value === null) delete place[last];
    else if (value === '+1') place[last] = (place[last] ?? 0) + 1;
    else place[last] = value;
  }
}

/** The names of the errors that reached the apps' error handlers. */
const faults: string[] = [];

/** Edits that all load the session before any of them saves it. */
async function editTogether(client: HttpClient, gate: Gate, edits: object[]): Promise<void> {
  const arrived = gate.expect(edits.length);
  const responses = edits.map((json) =>
    httpClient(client.origin, client.cookie).post('/edit?wait', { json }),
  );
  await beforeTheEnd(arrived, ...responses);
  gate.open();
  for (const { status } of await Promise.all(responses)) assert.equal(status, 200);
}

/** Edits that all load the session before the first saves it. Each is over before the next saves. */
async function editInTurn(client: HttpClient, gate: Gate, edits: object[]): Promise<void> {
  const responses = [];
  for (const json of edits) {
    const arrived = gate.expect();
    responses.push(httpClient(client.origin, client.cookie).post('/edit?wait', { json }));
    await beforeTheEnd(arrived, ...responses);
  }
  for (const response of responses) {
    gate.open(1);
    assert.equal((await response).status, 200);
  }
}

async function logOutDuringEdit(client: HttpClient, gate: Gate): Promise<boolean> {
  await client.post('/log-in');
  const arrived = gate.expect();
  const slow = httpClient(client.origin, client.cookie);
  const edit = slow.post('/edit?wait', { json: { theme: 'dark' } });
  await beforeTheEnd(arrived, edit);
  const old = httpClient(client.origin, client.cookie);
  await client.post('/log-out');
  gate.open();
  await edit;
  client.cookie = undefined;
  return (await old.get('/')).json.user === 'Ada';
}

it('each row of the table in the docs has a test named after it, on each store', () => {
  const docs = readFileSync(new URL('../../docs/drop-in-store.md', import.meta.url), 'utf8');
  const tests = readFileSync(import.meta.filename, 'utf8');
  const [, table = ''] = docs.split('| | Drop-in store | `updateSession` |\n');
  const rows = [
    ...table
      .split('\n\n', 1)
      .join()
      .matchAll(/^\| (.+?) \|/gm),
  ];
  assert.equal(rows.length, 10);
  for (const [, row = ''] of rows) assert.ok(tests.includes(`    it('${row}: `), row);
});

describe("express-session's MemoryStore, for comparison,", () => {
  it('loses simultaneous changes and revives sessions after log-out', async (t) => {
    const gate = new Gate();
    const site = await listen(plainApp(new MemoryStore(), gate));
    t.after(site.close);
    const client = httpClient(site.origin);
    await client.post('/edit', { json: { cart: {} } });
    const edits = Array.from({ length: 50 }, (_, n) => ({ [`cart.item${n}`]: 1 }));
    await editTogether(client, gate, edits);
    assert.equal(Object.keys((await client.get('/')).json.cart).length, 1);
    assert.equal(await logOutDuringEdit(client, gate), true);
  });
});

onEachStore(
  'the drop-in store',
  (store) => {
    let now: number;
    let events: DropInEvent[];
    let gate: Gate;
    let client: HttpClient;
    let sites: Listening[];

    beforeEach(async () => {
      sites = [];
      now = Date.now();
      events = [];
      gate = new Gate();
      client = await visitorOf();
    });

    afterEach(() => Promise.all(sites.map(({ close }) => close())));

    async function visitorOf(
      options: DropInOptions & Pick<SessionOptions, 'cookie'> & { backend?: Backend } = {},
    ): Promise<HttpClient> {
      const { backend = store.backend, cookie = {}, ...rest } = options;
      const onEvent = (event: DropInEvent) => events.push(event);
      const dropIn = dropInStore(backend, {
        now: () => now,
        onEvent,
        answerWithinMs: 20_000,
        ...rest,
      });
      const site = await listen(plainApp(dropIn, gate, { cookie }));
      sites.push(site);
      return httpClient(site.origin);
    }
    const stored = async () => (await client.get('/')).json;
    const conflicts = () =>
      events.flatMap((event) => (event.type === 'conflict' ? event.field : [])).toSorted();

    it('Two requests change different fields: all 200 are kept', async () => {
      await client.post('/edit', { json: { theme: 'dark' } });
      const edits = Array.from({ length: 200 }, (_, n) => ({ [`cart.item${n}`]: n }));
      await editTogether(client, gate, edits);
      assert.equal(Object.keys((await stored()).cart).length, 200);
    });

    it('Two requests change different fields: all 200 are kept, by two stores over one backend', async () => {
      await client.post('/edit', { json: { cart: {} } });
      const other = await visitorOf();
      other.cookie = client.cookie;
      const responses = Array.from({ length: 200 }, (_, n) =>
        httpClient((n % 2 ? client : other).origin, client.cookie).post('/edit', {
          json: { [`cart.item${n}`]: n },
        }),
      );
      for (const { status } of await Promise.all(responses)) assert.equal(status, 200);
      assert.equal(Object.keys((await stored()).cart).length, 200);
    });

    it('A request ends after log-out: 20 of 20 times, the session stays gone', async () => {
      for (let attempt = 0; attempt < 20; attempt++)
        assert.equal(await logOutDuringEdit(client, gate), false);
      assert.equal(events.filter(({ type }) => type === 'gone').length, 20);
    });

    it('deletes a field that one request deletes while others change other fields', async () => {
      await client.post('/edit', { json: { flash: 'hello', cart: { hat: 1, coat: 1 } } });
      await editTogether(client, gate, [
        { flash: null },
        { 'cart.hat': null },
        { 'cart.umbrella': 2 },
        { theme: 'dark' },
      ]);
      const { cookie, ...data } = await stored();
      assert.deepEqual(data, { cart: { coat: 1, umbrella: 2 }, theme: 'dark' });
    });

    it('Two requests change the same field: the later value wins, and an event names the field if the values differ', async () => {
      await client.post('/edit', { json: { theme: 'dark', user: { name: 'Ada' } } });
      await editInTurn(client, gate, [
        { theme: 'red', 'user.name': 'Grace', views: '+1' },
        { theme: 'light', 'user.name': 'Joan', views: '+1' },
      ]);
      const { cookie, ...data } = await stored();
      assert.deepEqual(data, { theme: 'light', user: { name: 'Joan' }, views: 1 });
      assert.deepEqual(conflicts(), ['theme', 'user.name']);
    });

    it('Two requests make or replace one object: changes inside it are merged, and of two new ones that disagree, the later is kept', async () => {
      await client.post('/edit', { json: { theme: 'dark' } });
      await editInTurn(client, gate, [
        { user: { id: 1, name: 'Ada', role: 'admin' }, cart: { hat: 1, size: { hat: 'S' } } },
        { user: { id: 2, name: 'Bob' }, cart: { hat: 1, coat: 1, size: { coat: 'L' } } },
      ]);
      const { user, cart } = await stored();
      assert.deepEqual(user, { id: 2, name: 'Bob' });
      assert.deepEqual(cart, { hat: 1, coat: 1, size: { hat: 'S', coat: 'L' } });
      assert.deepEqual(conflicts(), ['user']);
    });

    it('Two requests change one array: the later array wins as a whole, and an event names the field', async () => {
      await client.post('/edit', { json: { sizes: [1, 2] } });
      await editInTurn(client, gate, [{ sizes: [1, 2, 3] }, { sizes: [2] }]);
      assert.deepEqual((await stored()).sizes, [2]);
      assert.deepEqual(conflicts(), ['sizes']);
    });

    it('Two requests add to a counter: both count, if the field is named in `counters`', async () => {
      const ones = Array.from({ length: 50 }, () => ({ views: '+1', 'seen.hats': '+1' }));
      for (const [counters, count] of [
        [[], 1],
        [['views', 'seen.hats'], 50],
      ] as const) {
        client = await visitorOf({ counters });
        await client.post('/edit', { json: { theme: 'dark' } });
        await editTogether(client, gate, ones);
        const { views, seen } = await stored();
        assert.deepEqual([views, seen], [count, { hats: count }]);
      }
    });

    it('merges overlapping saves of one request in their order', async () => {
      for (const query of ['', '?wait-for-save']) {
        await client.post('/edit', { json: { x: 0, views: 5 } });
        await client.post(`/save-twice${query}`);
        const { cookie, ...data } = await stored();
        assert.deepEqual(data, { x: 0, views: 7 }, query);
      }
    });

    it('ends a session whose cookie the app lets expire', async () => {
      for (const how of ['max-age', 'expires']) {
        await client.post('/log-in');
        const { cookie } = client;
        await client.post(`/expire/${how}`);
        client.cookie = cookie;
        assert.equal((await stored()).user, undefined, how);
      }
      assert.deepEqual(events, [], 'nothing failed');
    });

    it('keeps a session whose cookie the app lets end with the browser', async () => {
      for (const cookie of [{}, { maxAge: MINUTE }, { expires: false as never }]) {
        client = await visitorOf({ cookie });
        await client.post('/edit', { json: { user: 'Ada' } });
        await client.post('/expire/with-browser');
        assert.equal((await stored()).user, 'Ada', JSON.stringify(cookie));
      }
    });

    it('keeps a session that has no limit', async () => {
      client = await visitorOf({ idleMs: Infinity });
      await client.post('/log-in');
      assert.equal((await stored()).user, 'Ada');
    });

    it('A request deletes a field that another one changes: the later one wins, but an object stays deleted', async () => {
      const deleteUser = { theme: null, user: null };
      const changeUser = { theme: 'dark', 'user.name': 'Grace' };
      const both = ['theme', 'user'];
      for (const [first, second, left, conflicting] of [
        [deleteUser, changeUser, { theme: 'dark' }, both],
        [changeUser, deleteUser, {}, both],
        [{ user: false }, changeUser, { theme: 'dark', user: false }, ['user']],
      ] as const) {
        events = [];
        await client.post('/edit', { json: { theme: 'light', user: { id: 1, name: 'Ada' } } });
        await editInTurn(client, gate, [first, second]);
        const { cookie, ...data } = await stored();
        assert.deepEqual(data, left);
        assert.deepEqual(conflicts(), conflicting);
      }
    });

    it('reports a conflict once, however often it has to try again', async () => {
      await client.post('/edit', { json: { theme: 'dark' } });
      let refusals = 0;
      const compareAndSet: Backend['compareAndSet'] = async (...args) =>
        refusals++ >= 3 && store.backend.compareAndSet(...args);
      const other = await visitorOf({ backend: { ...store.backend, compareAndSet } });
      other.cookie = client.cookie;
      const arrived = gate.expect();
      const slow = other.post('/edit?wait', { json: { theme: 'red' } });
      await beforeTheEnd(arrived, slow);
      await client.post('/edit', { json: { theme: 'light' } });
      gate.open();
      await slow;
      assert.equal((await stored()).theme, 'red');
      assert.deepEqual(conflicts(), ['theme']);
    });

    it('keeps a `maxAge` that one request sets while another changes a field', async () => {
      const [stay, edit] = [{ 'cookie.maxAge': 60 * MINUTE }, { theme: 'light' }];
      for (const edits of [
        [stay, edit],
        [edit, stay],
      ]) {
        client = await visitorOf({ cookie: { maxAge: MINUTE } });
        await client.post('/edit', { json: { theme: 'dark' } });
        await editInTurn(client, gate, edits);
        const { cookie, theme } = await stored();
        assert.equal(theme, 'light');
        assert.equal(Math.round(cookie.originalMaxAge / MINUTE), 60);
      }
    });

    it('keeps a field named `__proto__` like any other', async () => {
      await client.post('/edit', { json: { cart: { hat: 1 } } });
      await client.post('/edit', { json: '{"cart":{"hat":1,"__proto__":{"coat":1}}}' });
      assert.ok((await client.get('/')).text.includes('"__proto__":{"coat":1}'));
    });

    it('stores a session under the hash of its id', async () => {
      await client.post('/log-in');
      const id = sessionIdOf(client);
      assert.equal(await store.backend.get(id), undefined);
      assert.equal((await store.read(sessionHandle(id))).session.user, 'Ada');
    });

    it('ends a session by its idle and its absolute clock', async () => {
      client = await visitorOf({ idleMs: 30 * MINUTE, absoluteMs: 60 * MINUTE });
      await client.post('/log-in');
      for (const minutes of [25, 25]) {
        now += minutes * MINUTE;
        assert.equal((await stored()).user, 'Ada');
      }
      now += 11 * MINUTE;
      assert.equal((await stored()).user, undefined, 'after 61 min');
      await client.post('/log-in');
      now += 31 * MINUTE;
      assert.equal((await stored()).user, undefined, 'after 31 idle min');
    });

    it('a read restarts the idle clock once a hundredth of it, or a minute, has passed', async () => {
      for (const [idleMs, restartMs] of [
        [30 * MINUTE, 18_000],
        [24 * 60 * MINUTE, MINUTE],
      ] as const) {
        client = await visitorOf({ idleMs });
        await client.post('/log-in');
        const id = sessionIdOf(client);
        for (const [ms, restarted] of [
          [restartMs - 1, false],
          [1, true],
        ] as const) {
          now += ms;
          await stored();
          const { lastSeenAt } = await store.read(sessionHandle(id));
          assert.equal(lastSeenAt === now, restarted, `${ms} ms`);
        }
      }
    });

    it('A request changes the session while another gives it a new id: the change is lost, and a `maxAge` brings the old cookie back', async () => {
      for (const cookie of [{}, { maxAge: MINUTE }]) {
        client = await visitorOf({ cookie });
        await client.post('/edit', { json: { theme: 'dark' } });
        const old = client.cookie;
        const slow = httpClient(client.origin, old);
        const arrived = gate.expect();
        const edit = slow.post('/edit?wait', { json: { theme: 'light' } });
        await beforeTheEnd(arrived, edit);
        events = [];
        await client.post('/log-in');
        gate.open();
        const { headers } = await edit;
        assert.equal(headers.has('set-cookie'), 'maxAge' in cookie);
        assert.equal(slow.cookie, old);
        assert.deepEqual(events, [{ type: 'gone' }]);
        const { user, theme } = await stored();
        assert.deepEqual([user, theme], ['Ada', undefined]);
      }
    });

    it('The response: may arrive before the session is stored, unless the app calls `save` first', async () => {
      await client.post('/edit', { json: { theme: 'dark' } });
      const writes = new Gate();
      let held: boolean;
      const compareAndSet: Backend['compareAndSet'] = async (...args) => {
        if (held) await writes.pass();
        return store.backend.compareAndSet(...args);
      };
      const slow = await visitorOf({ backend: { ...store.backend, compareAndSet } });
      const { cookie = '' } = client;
      for (const query of ['', '?save']) {
        await client.post('/edit', { json: { flash: null } });
        held = true;
        const arrived = writes.expect();
        let responded = false;
        const redirect = { method: 'POST', headers: { cookie }, redirect: 'manual' } as const;
        const redirected = fetch(`${slow.origin}/redirect${query}`, redirect).then((response) => {
          responded = true;
          return response;
        });
        // Without ?save, it may be redirected first.
        await (query ? beforeTheEnd(arrived, redirected) : arrived);
        if (!query) await redirected;
        assert.equal((await stored()).flash, undefined);
        assert.equal(responded, !query);
        held = false;
        writes.open();
        await (await redirected).text();
        assert.equal((await stored()).flash, 'hello');
      }
    });

    it('The store is down: reading gives 503, and a failed save reaches the error handler', async () => {
      let fault: (() => Promise<never>) | undefined;
      const backend: Backend = {
        get: (key) => fault?.() ?? store.backend.get(key),
        compareAndSet: (...args) => fault?.() ?? store.backend.compareAndSet(...args),
        destroy: (key) => fault?.() ?? store.backend.destroy(key),
      };
      client = await visitorOf({ backend, answerWithinMs: 1000 });
      const repair = async () => {
        fault = undefined;
      };
      const everyMaster = (how: 'kill' | 'pause' | 'resume' | 'restart') => async () => {
        for (const master of store.masters) await master[how]();
      };
      for (const [fail, mend] of [
        [async () => (fault = () => Promise.reject(new Error('down'))), repair],
        [async () => (fault = () => new Promise(() => {})), repair],
        [everyMaster('pause'), everyMaster('resume')],
        [everyMaster('kill'), everyMaster('restart')],
      ] as const) {
        if (!store.redis && mend !== repair) continue;
        const logIn = async () => (await client.post('/log-in')).status === 200;
        await until(logIn, 'logged in');
        const arrived = gate.expect();
        const outcome = httpClient(client.origin, client.cookie)
          .post('/edit?wait', { json: { theme: 'dark' } })
          .then(
            ({ status }) => status,
            () => 'cut off',
          );
        await beforeTheEnd(arrived, outcome);
        await fail();
        faults.length = 0;
        gate.open();
        assert.ok([200, 'cut off'].includes(await outcome));
        await until(async () => faults.length === 1, 'the error handler was called');
        assert.equal((await client.get('/')).status, 503);
        assert.deepEqual(faults, ['StoreUnavailable', 'StoreUnavailable']);
        await mend();
        const isBack = async () => {
          // Enough keys to ask each master of the Cluster.
          for (let asked = 0; asked < 30; asked++) await backend.get(newSessionId());
          return (await client.get('/')).status === 200;
        };
        await until(isBack, 'the store is back');
      }
    });

    it('stores a session that expires while it is being stored, and then it is gone', async () => {
      let time = Date.now();
      const clock = () => (time += 60); // at each look, so the time is over when the session is stored
      const errors: unknown[] = [];
      const dropIn = dropInStore(store.backend, {
        absoluteMs: 100,
        now: clock,
        onEvent: (event) => errors.push(event),
      });
      const id = newSessionId();
      const session = { cookie: { originalMaxAge: null }, user: 'Ada' };
      await promisify((done: (error: unknown) => void) => dropIn.set(id, session, done))();
      assert.deepEqual(errors, []);
      assert.equal(await promisify(dropIn.get)(id), null);
    });

    it('starts afresh when the stored text is unreadable', async () => {
      await client.post('/log-in');
      const id = sessionIdOf(client);
      const times = `"version":1,"createdAt":${now},"lastSeenAt":${now}`;
      const texts = ['{"vers', 'null', '7', `{${times}}`, `{${times},"session":3}`];
      for (const text of [...texts, `{${times},"session":{"user":"Ada"}}`]) {
        await store.plant(sessionHandle(id), text);
        const response = await client.get('/');
        assert.deepEqual([response.status, response.json.user], [200, undefined], text);
        assert.equal(events.at(-1)?.type, 'unreadable', text);
        events = [];
      }
    });
  },
  ['memory', 'Redis', 'Redis Cluster', 'SQLite'],
);

it('data that was not loaded from the drop-in store replaces the stored session', async () => {
  const store = dropInStore(memoryBackend());
  const id = newSessionId();
  const cookie = { originalMaxAge: null };
  const save = (data: object) =>
    new Promise((resolve) => store.set(id, { cookie, ...data }, resolve));
  await save({ theme: 'dark' });
  await save({ views: 1 });
  const stored = new Promise((resolve) => store.get(id, (_error, session) => resolve(session)));
  assert.deepEqual(await stored, { cookie, views: 1 });
});

it('data that was loaded outside of a request is merged, and can be saved under another id', async () => {
  const store = dropInStore(memoryBackend());
  const [get, set] = [promisify(store.get.bind(store)), promisify(store.set.bind(store))];
  const [id, other] = [newSessionId(), newSessionId()];
  await set(id, { cookie: { originalMaxAge: null }, theme: 'dark' } as Loose);
  const [byAdmin, byRequest]: Loose[] = [await get(id), await get(id)];
  byRequest.cart = { hat: 1 };
  await set(id, byRequest);
  byAdmin.role = 'editor';
  await set(id, byAdmin);
  const { cookie, ...data } = (await get(id)) as Loose;
  assert.deepEqual(data, { theme: 'dark', cart: { hat: 1 }, role: 'editor' });
  await set(other, (await get(id)) as Loose);
  assert.deepEqual(await get(other), { cookie, ...data });
});

it('a counter that is no longer a number is merged like any other field', async () => {
  const conflicts: DropInEvent[] = [];
  const options = { counters: ['n'], onEvent: (event: DropInEvent) => conflicts.push(event) };
  const store = dropInStore(memoryBackend(), options);
  const [get, set] = [promisify(store.get.bind(store)), promisify(store.set.bind(store))];
  const id = newSessionId();
  await set(id, { cookie: { originalMaxAge: null }, n: 1 } as Loose);
  const [first, second]: Loose[] = [await get(id), await get(id)];
  first.n = 'many';
  await set(id, first);
  second.n = 2;
  await set(id, second);
  assert.equal(((await get(id)) as Loose).n, 2);
  assert.deepEqual(conflicts, [{ type: 'conflict', field: 'n' }]);
});

it('whatever requests change at once, the last change to each field is kept', async () => {
  const paths = ['a', 'o.x', 'o.p.q', 'o.p.r'];
  const at = (session: Loose, path: string) =>
    path.split('.').reduce((place, name) => place[name], session);
  const values = fc.constantFrom(null, 1, 2, [1], [1, 2]);
  const edits = fc.dictionary(fc.constantFrom(...paths), values);
  const keepsTheLast = async (first: object, requests: object[]) => {
    const store = dropInStore(memoryBackend());
    const [get, set] = [promisify(store.get.bind(store)), promisify(store.set.bind(store))];
    const id = newSessionId();
    const start = { cookie: { originalMaxAge: null }, o: { p: {} } } as Loose;
    applyEdits(start, { ...first });
    await set(id, start);
    const sessions: Loose[] = [];
    for (const changes of requests) {
      const data = (await get(id)) ?? assert.fail();
      const session = store.createSession({ sessionID: id } as Loose, data);
      applyEdits(session, { ...changes });
      sessions.push(session);
    }
    await Promise.all(sessions.map((session) => set(id, session)));
    const stored = await get(id);
    for (const path of paths) {
      const [before, after] = [at(start, path), sessions.map((session) => at(session, path))];
      const changed = after.filter((value) => !isDeepStrictEqual(value, before));
      assert.deepEqual(at(stored, path), changed.length ? changed.at(-1) : before, path);
    }
  };
  const property = fc.asyncProperty(edits, fc.array(edits, { maxLength: 4 }), keepsTheLast);
  await fc.assert(property, { numRuns: 300 });
});

it('the drop-in store counts and clears sessions in memory', async () => {
  const store = dropInStore(memoryBackend());
  const call = <T>(run: (done: (error: unknown, value?: T) => void) => void) =>
    new Promise<T | undefined>((resolve, reject) => {
      run((error, value) => (error ? reject(error) : resolve(value)));
    });
  const session = { cookie: { originalMaxAge: null }, theme: 'dark' } as never;
  const id = newSessionId();
  await call((done) => store.set(id, session, done));
  assert.equal(await call<number>((done) => store.length?.(done as never)), 1);
  await call((done) => store.clear?.(done));
  assert.equal(await call<number>((done) => store.length?.(done as never)), 0);
});

it('reads keep a session alive whose cookie ends sooner than the idle clock', async () => {
  let now = Date.now();
  const store = dropInStore(memoryBackend(), { now: () => now, idleMs: 24 * 60 * MINUTE });
  const restarted = () => ({ originalMaxAge: MINUTE, expires: new Date(now + MINUTE) }) as Loose;
  const set = promisify(store.set.bind(store));
  const get = promisify(store.get.bind(store));
  const touch = promisify((id: string, session: Loose, done: (error?: unknown) => void) =>
    store.touch?.(id, session, done),
  );
  await set('id', { cookie: restarted(), user: 'Ada' } as Loose);
  for (let reads = 0; reads < 4; reads++) {
    now += MINUTE / 2;
    const session: Loose = await get('id');
    assert.equal(session?.user, 'Ada');
    session.cookie = restarted();
    await touch('id', session);
  }
});
