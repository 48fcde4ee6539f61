import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import express, { type Request } from 'express';
import expressSession, { MemoryStore, type Store } from 'express-session';
import { type HttpClient, httpClient } from '../../test-support/http-client.ts';
import { type Listening, listen } from '../../test-support/listen.ts';
import { onEachStore } from '../../test-support/stores.ts';
import {
  type Backend,
  type DropInEvent,
  type DropInOptions,
  dropInStore,
  memoryBackend,
  newSessionId,
  sessionHandle,
} from './index.ts';

const MINUTE = 60_000;
// biome-ignore lint/suspicious/noExplicitAny: the app under test declares no fields.
const fields = (req: Request) => req.session as any;

/** An app as the tutorials write it: it uses nothing of this module except the store. */
function tutorialApp(store: Store, gate: Gate) {
  const app = express();
  app.set('env', 'test'); // Express then prints no errors
  app.use(
    expressSession({ store, secret: 'keyboard cat', resave: false, saveUninitialized: false }),
  );
  app.get('/', (req, res) => res.json(req.session));
  app.post('/log-in', (req, res, next) => {
    req.session.regenerate((error) => {
      if (error) return next(error);
      fields(req).user = 'Ada';
      res.json({});
    });
  });
  app.post('/log-out', (req, res, next) => {
    req.session.destroy((error) => (error ? next(error) : res.json({})));
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
    if (req.params.how === 'max-age') req.session.cookie.maxAge = 0;
    else req.session.cookie.expires = new Date(0);
    res.json({});
  });
  /** Loads the session, waits at the gate, then edits it. */
  app.post('/edit', express.json(), async (req, res) => {
    await gate.pass(req);
    for (const [path, value] of Object.entries(req.body as Record<string, unknown>)) {
      const names = path.split('.');
      const last = names.pop() ?? '';
      let place = fields(req);
      for (const name of names) place = place[name] ??= {};
      if (value === null) delete place[last];
      else if (value === '+1') place[last] = (place[last] ?? 0) + 1;
      else place[last] = value;
    }
    res.json({});
  });
  return app;
}

/** Lets requests with `?wait` pass only when as many as expected have arrived. */
class Gate {
  #waiting: (() => void)[] = [];
  expected = 0;
  arrived = Promise.withResolvers<void>();
  async pass(req: Request): Promise<void> {
    if (!('wait' in req.query)) return;
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length === this.expected) this.arrived.resolve();
    });
  }
  expect(count: number): void {
    this.expected = count;
    this.#waiting = [];
    this.arrived = Promise.withResolvers();
  }
  open(): void {
    for (const resolve of this.#waiting) resolve();
  }
}

/** Edits that all load the session before any of them saves it. */
async function editTogether(client: HttpClient, gate: Gate, edits: object[]): Promise<void> {
  gate.expect(edits.length);
  const answers = edits.map((json) =>
    httpClient(client.origin, client.cookie).post('/edit?wait', { json }),
  );
  await gate.arrived.promise;
  gate.open();
  for (const { status } of await Promise.all(answers)) assert.equal(status, 200);
}

async function logOutDuringEdit(client: HttpClient, gate: Gate): Promise<boolean> {
  await client.post('/log-in');
  gate.expect(1);
  const slow = httpClient(client.origin, client.cookie);
  const edit = slow.post('/edit?wait', { json: { theme: 'dark' } });
  await gate.arrived.promise;
  const old = httpClient(client.origin, client.cookie);
  await client.post('/log-out');
  gate.open();
  await edit;
  client.cookie = undefined;
  return (await old.get('/')).json.user === 'Ada';
}

describe("express-session's MemoryStore, for comparison,", () => {
  it('loses simultaneous changes and revives sessions after log-out', async (t) => {
    const gate = new Gate();
    const site = await listen(tutorialApp(new MemoryStore(), gate));
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
      options: DropInOptions & { backend?: Backend } = {},
    ): Promise<HttpClient> {
      const { backend = store.backend, ...rest } = options;
      const onEvent = (event: DropInEvent) => events.push(event);
      const dropIn = dropInStore(backend, { now: () => now, onEvent, ...rest });
      const site = await listen(tutorialApp(dropIn, gate));
      sites.push(site);
      return httpClient(site.origin);
    }
    const stored = async () => (await client.get('/')).json;

    it('keeps all of 200 simultaneous changes of different fields', async () => {
      await client.post('/edit', { json: { theme: 'dark' } });
      const edits = Array.from({ length: 200 }, (_, n) => ({ [`cart.item${n}`]: n }));
      await editTogether(client, gate, edits);
      assert.equal(Object.keys((await stored()).cart).length, 200);
    });

    it('keeps all of 200 simultaneous changes that two processes make', async () => {
      await client.post('/edit', { json: { cart: {} } });
      const other = await visitorOf();
      other.cookie = client.cookie;
      const answers = Array.from({ length: 200 }, (_, n) =>
        httpClient((n % 2 ? client : other).origin, client.cookie).post('/edit', {
          json: { [`cart.item${n}`]: n },
        }),
      );
      for (const { status } of await Promise.all(answers)) assert.equal(status, 200);
      assert.equal(Object.keys((await stored()).cart).length, 200);
    });

    it('never revives a session that ended during a request', async () => {
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

    it('of two values for one field, keeps the later one (of an array, the whole array) and reports the conflict', async () => {
      await client.post('/edit', { json: { sizes: [1, 2], user: { name: 'Ada' } } });
      await editTogether(client, gate, [
        { sizes: [1, 2, 3], 'user.name': 'Grace' },
        { sizes: [2], 'user.name': 'Joan' },
      ]);
      const { sizes, user } = await stored();
      assert.ok([[1, 2, 3].join(), [2].join()].includes(sizes.join()), sizes);
      assert.equal(user.name === 'Grace', sizes.length === 3, 'both from the same request');
      const conflicts = events.flatMap((event) => (event.type === 'conflict' ? event.field : []));
      assert.deepEqual(conflicts.toSorted(), ['sizes', 'user.name']);
    });

    it('loses counts that are not named as counters, and adds up those that are', async () => {
      await client.post('/edit', { json: { views: 0 } });
      const ones = Array.from({ length: 50 }, () => ({ views: '+1' }));
      await editTogether(client, gate, ones);
      assert.equal((await stored()).views, 1);
      client = await visitorOf({ counters: ['views'] });
      await client.post('/edit', { json: { views: 0 } });
      await editTogether(client, gate, ones);
      assert.equal((await stored()).views, 50);
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

    it('reports a deleted field that another request changed', async () => {
      await client.post('/edit', { json: { cart: { a: 1 } } });
      await editTogether(client, gate, [{ cart: null }, { 'cart.b': 2 }]);
      assert.ok(events.some(({ type }) => type === 'conflict'));
    });

    it('stores a session under the hash of its id', async () => {
      await client.post('/log-in');
      const id = /s:(.+)\./.exec(decodeURIComponent(client.cookie ?? ''))?.[1] ?? '';
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

    it('gives an error with status 503 when the backend fails or is silent', async () => {
      await client.post('/log-in');
      for (const get of [
        () => Promise.reject(new Error('down')),
        () => new Promise<never>(() => {}),
      ]) {
        const backend = { ...store.backend, get };
        const visitor = await visitorOf({ backend, answerWithinMs: 100 });
        visitor.cookie = client.cookie;
        assert.equal((await visitor.get('/')).status, 503);
      }
    });

    it('starts afresh when the stored text is unreadable', async () => {
      await client.post('/log-in');
      const id = /s:(.+)\./.exec(decodeURIComponent(client.cookie ?? ''))?.[1] ?? '';
      for (const text of ['{"vers', 'null', '7', '{"version":1}', '{"version":1,"session":3}']) {
        await store.plant(sessionHandle(id), text);
        const answer = await client.get('/');
        assert.deepEqual([answer.status, answer.json.user], [200, undefined], text);
      }
    });
  },
  ['memory', 'Redis', 'Redis Cluster'],
);

it('data that no request holds replaces a session of the drop-in store', async () => {
  const store = dropInStore(memoryBackend());
  const id = newSessionId();
  const cookie = { originalMaxAge: null };
  const save = (data: object) =>
    new Promise((resolve) => store.set(id, { cookie, ...data } as never, resolve));
  await save({ theme: 'dark' });
  await save({ views: 1 });
  const stored = new Promise((resolve) => store.get(id, (_error, session) => resolve(session)));
  assert.deepEqual(await stored, { cookie, views: 1 });
});

it('the drop-in store lists, counts and clears sessions in memory', async () => {
  const store = dropInStore(memoryBackend());
  const call = <T>(run: (done: (error: unknown, value?: T) => void) => void) =>
    new Promise<T | undefined>((resolve, reject) => {
      run((error, value) => (error ? reject(error) : resolve(value)));
    });
  const session = { cookie: { originalMaxAge: null }, theme: 'dark' } as never;
  const id = newSessionId();
  await call((done) => store.set(id, session, done));
  assert.equal(await call<number>((done) => store.length?.(done as never)), 1);
  const all = await call<object>((done) => store.all?.(done as never));
  assert.deepEqual(all, { [sessionHandle(id)]: session });
  await call((done) => store.clear?.(done));
  assert.equal(await call<number>((done) => store.length?.(done as never)), 0);
});
