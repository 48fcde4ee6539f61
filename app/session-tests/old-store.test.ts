import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, it } from 'node:test';
import { RedisStore } from 'connect-redis';
import express, { type Request } from 'express';
import expressSession, { MemoryStore, type Session, type Store } from 'express-session';
import { createClient } from 'redis';
import { z } from 'zod';
import { httpClient } from '../../test-support/http-client.ts';
import { type Listening, listen } from '../../test-support/listen.ts';
import { onEachStore } from '../../test-support/stores.ts';
import { until } from '../../test-support/until.ts';
import {
  type Backend,
  draftOf,
  dropInStore,
  endSession,
  memoryBackend,
  renewSession,
  sessionFields,
  sessionHandle,
  sessionMiddleware,
  sessionOf,
  updateSession,
} from '../session/index.ts';
import { type OldStore, type OldStoreOptions, oldStore } from '../session/stores/old-store.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const secret = 'keyboard cat';

/** An app as the tutorials write it, over any store of express-session. */
function oldApp(store: Store, options: { name?: string; cookie?: { maxAge: number } } = {}) {
  const app = express();
  app.set('env', 'test'); // Express then prints no errors
  app.use(expressSession({ store, secret, resave: false, saveUninitialized: false, ...options }));
  // biome-ignore lint/suspicious/noExplicitAny: the tutorials are in JavaScript
  const loose = (req: Request) => req.session as any;
  app.post('/log-in', (req, res) => {
    Object.assign(loose(req), { user: 'Ada', cart: { hat: 2 } });
    res.json({});
  });
  app.post('/add/:item', (req, res) => {
    loose(req).cart = { ...loose(req).cart, [req.params.item]: 1 };
    res.json({});
  });
  app.post('/log-out', (req, res, next) => {
    (req.session as Session).destroy((error) => (error ? next(error) : res.json({})));
  });
  app.get('/', (req, res) => {
    res.json({ user: loose(req).user, cart: loose(req).cart });
  });
  return app;
}

type Options = { backend: Backend; importFrom: OldStore; idleMs?: number };
type OldMethods = Pick<Store, 'get' | 'destroy'>;
/** `ms`: how long the new site imports. `crashes`: it crashes just before an import leaves its mark. */
type NewSite = { from?: Partial<OldMethods>; ms?: number; idleMs?: number; crashes?: boolean };
type ToFields = NonNullable<OldStoreOptions['map']>;
type Events = { type: string; reason?: string }[];

const withDropInStore = (options: Options, events: Events, now: () => number) =>
  oldApp(dropInStore(options.backend, { ...options, now, onEvent: (event) => events.push(event) }));

function withUpdateSession(options: Options, events: Events, now: () => number) {
  const app = express();
  app.set('env', 'test');
  app.use(
    sessionMiddleware({
      idleMs: 30 * MINUTE,
      ...options,
      fields: sessionFields.extend({ cart: z.record(z.string(), z.int()).optional() }),
      now,
      onEvent: (event) => events.push(event),
      secrets: [secret],
      absoluteMs: 12 * HOUR,
      cookie: {
        name: 'sid',
        attributes: { path: '/', httpOnly: true, secure: false, sameSite: 'lax' },
      },
    }),
  );
  app.post('/add/:item', async (req, res) => {
    await updateSession(req, (draft) => {
      draft.cart = { ...draft.cart, [req.params.item]: 1 };
    });
    res.json({});
  });
  app.post('/renew', async (req, res) => {
    await renewSession(req, (session) => ({ ...draftOf(session ?? req.session) }));
    res.json({});
  });
  app.post('/log-out', async (req, res) => {
    await endSession(req, res);
    res.json({});
  });
  app.get('/', (req, res) => {
    res.json({ user: req.session.user?.name, cart: req.session.cart });
  });
  return app;
}

const toFields: ToFields = (old) => ({
  user: old.user && { id: '1', email: 'ada@example.com', name: old.user },
  cart: old.cart,
  // The module has fields of these names: these values must not reach them.
  version: 7,
  boundTo: 'phone',
});

const hosts = [
  { name: 'updateSession', app: withUpdateSession, options: { map: toFields } },
  { name: 'the drop-in store', app: withDropInStore, options: {} },
];
for (const host of hosts)
  onEachStore(`importing old sessions into ${host.name}`, (store) => {
    let now: number;
    let old: Store;
    let oldSite: Listening;
    let sites: Listening[];
    const events: Events = [];
    /** The old app's own client. */
    let client: ReturnType<typeof createClient> | undefined;

    before(async () => {
      if (store.url) client = createClient({ url: store.url });
      await client?.connect();
    });
    after(() => client?.destroy());
    beforeEach(async () => {
      now = Date.now();
      events.length = 0;
      // On Redis, the old and the new keys share their prefix.
      old = client ? new RedisStore({ client }) : new MemoryStore();
      oldSite = await listen(oldApp(old));
      sites = [oldSite];
    });
    afterEach(() => Promise.all(sites.map(({ close }) => close())));

    /** The new app. `from` replaces methods of the old store. */
    async function openNewSite({ from = {}, ms = HOUR, crashes, ...more }: NewSite = {}) {
      const methods: OldMethods = {
        get: (id, done) => old.get(id, done),
        destroy: (id, done) => old.destroy(id, done),
        ...from,
      };
      const importFrom = oldStore(methods, { until: new Date(now + ms), ...host.options });
      const backend: Backend = {
        ...store.backend,
        compareAndSet: async (key, ...rest) => {
          if (crashes && key.startsWith('imported:')) throw new Error('crashed');
          return store.backend.compareAndSet(key, ...rest);
        },
      };
      const options = { backend, importFrom, ...more };
      const site = await listen(host.app(options, events, () => now));
      sites.push(site);
      return site.origin;
    }
    async function visitorOfOldSite() {
      const visitor = httpClient(oldSite.origin);
      await visitor.post('/log-in');
      return { cookie: visitor.cookie ?? '', id: idIn(visitor.cookie) };
    }
    const idIn = (cookie = '') => /s:(.+)\./.exec(decodeURIComponent(cookie))?.[1] ?? '';
    const inOldStore = (id: string) =>
      new Promise<object | undefined>((resolve) => {
        old.get(id, (_error, session) => resolve(session ?? undefined));
      });
    const rewrite = (id: string, session: unknown) =>
      new Promise((resolve) => old.set(id, session as never, resolve));
    const count = (type: string) => events.filter((event) => event.type === type).length;
    const ADA = { user: 'Ada', cart: { hat: 2 } };

    it('keeps the visitor logged in, with their cart, under the hash of their id', async () => {
      const { cookie, id } = await visitorOfOldSite();
      const visitor = httpClient(await openNewSite(), cookie);
      assert.deepEqual((await visitor.get('/')).json, ADA);
      assert.equal(await inOldStore(id), undefined);
      assert.ok(await store.read(sessionHandle(id)));
      await visitor.post('/add/coat');
      assert.deepEqual((await visitor.get('/')).json.cart, { hat: 2, coat: 1 });
      assert.equal(count('imported'), 1);
    });

    it('imports once when first requests arrive at two processes, and keeps all their changes', async () => {
      const { cookie } = await visitorOfOldSite();
      const together = barrier(10);
      const get: Store['get'] = (id, reply) =>
        old.get(id, (...answer) => void together().then(() => reply(...answer)));
      const origins = [await openNewSite({ from: { get } }), await openNewSite({ from: { get } })];
      const adds = Array.from({ length: 10 }, (_, n) =>
        httpClient(origins[n % 2] ?? '', cookie).post(`/add/item${n}`),
      );
      for (const { status } of await Promise.all(adds)) assert.equal(status, 200);
      const { user, cart } = (await httpClient(origins[0] ?? '', cookie).get('/')).json;
      assert.deepEqual([user, Object.keys(cart).length], ['Ada', 11]);
      assert.equal(count('imported'), 1);
    });

    it('finds a session that another process imports just before the old store is asked', async () => {
      const { cookie } = await visitorOfOldSite();
      const other = await openNewSite();
      const get: Store['get'] = (id, reply) =>
        void httpClient(other, cookie)
          .post('/add/coat')
          .then(() => old.get(id, reply));
      const visitor = httpClient(await openNewSite({ from: { get } }), cookie);
      assert.deepEqual((await visitor.get('/')).json, { user: 'Ada', cart: { hat: 2, coat: 1 } });
    });

    it('does not import an ended session again when an old process writes it once more', async () => {
      for (const [how, idleMs] of [
        ['log-out', 2000], // the session must not expire before
        ['idle', 60],
      ] as const) {
        const { cookie, id } = await visitorOfOldSite();
        const late = await inOldStore(id);
        const visitor = httpClient(await openNewSite({ idleMs }), cookie);
        assert.deepEqual((await visitor.get('/')).json, ADA);
        if (how === 'log-out') await visitor.post('/log-out');
        const expired = async () => (await store.read(sessionHandle(id))) === undefined;
        await until(expired, 'the session has expired, with all that it held');
        now += idleMs + 40;
        await rewrite(id, late);
        for (let visit = 1; visit <= 2; visit++) {
          const again = await httpClient(visitor.origin, cookie).get('/');
          assert.equal(again.json.user, undefined, `${how}, visit ${visit}`);
        }
      }
      assert.deepEqual([count('imported'), count('unreadable')], [2, 0]);
    });

    it('keeps a session whose cookie ends with the browser, although the old app once gave it a maxAge', async () => {
      const { cookie, id } = await visitorOfOldSite();
      await rewrite(id, {
        ...(await inOldStore(id)),
        cookie: { originalMaxAge: false, expires: false },
      });
      const visitor = httpClient(await openNewSite(), cookie);
      for (let visit = 1; visit <= 2; visit++)
        assert.deepEqual((await visitor.get('/')).json, ADA, `visit ${visit}`);
    });

    it('deletes a session from the old store only if the new one keeps it', async () => {
      const { cookie, id } = await visitorOfOldSite();
      await rewrite(id, { ...(await inOldStore(id)), cookie: { originalMaxAge: 0 } });
      const visitor = httpClient(await openNewSite(), cookie);
      await visitor.get('/');
      assert.ok((await visitor.get('/')).json.user || (await inOldStore(id)));
    });

    it('does not undo a log-out that comes while another process imports the session', async () => {
      const { cookie } = await visitorOfOldSite();
      const other = httpClient(await openNewSite(), cookie);
      const get: Store['get'] = (id, reply) =>
        old.get(id, (...answer) => void other.post('/log-out').then(() => reply(...answer)));
      const visitor = httpClient(await openNewSite({ from: { get } }), cookie);
      for (let visit = 1; visit <= 2; visit++)
        assert.equal((await visitor.get('/')).json.user, undefined);
      assert.equal(count('imported'), 1);
    });

    it('keeps a session whose import was interrupted, and does not undo its log-out', async () => {
      const { cookie } = await visitorOfOldSite();
      const broken = httpClient(await openNewSite({ crashes: true }), cookie);
      assert.equal((await broken.get('/')).status, 503);
      const visitor = httpClient(await openNewSite(), cookie);
      assert.deepEqual((await visitor.get('/')).json, ADA);
      await visitor.post('/log-out');
      assert.equal((await httpClient(visitor.origin, cookie).get('/')).json.user, undefined);
    });

    it('does not undo a log-out when a second import is interrupted', async () => {
      const { cookie } = await visitorOfOldSite();
      const other = httpClient(await openNewSite(), cookie);
      const get: Store['get'] = (id, reply) =>
        old.get(id, (...answer) => void other.post('/log-out').then(() => reply(...answer)));
      const broken = httpClient(await openNewSite({ from: { get }, crashes: true }), cookie);
      assert.equal((await broken.get('/')).status, 503);
      assert.equal((await httpClient(other.origin, cookie).get('/')).json.user, undefined);
    });

    it('does not undo a log-out when the old store fails to delete a session', async () => {
      const { cookie } = await visitorOfOldSite();
      const destroy: Store['destroy'] = (_id, done) => done?.(new Error('read-only'));
      const visitor = httpClient(await openNewSite({ from: { destroy } }), cookie);
      assert.deepEqual((await visitor.get('/')).json, ADA);
      await visitor.post('/log-out');
      assert.equal((await httpClient(visitor.origin, cookie).get('/')).json.user, undefined);
    });

    it('no longer asks the old store from `until` on, and keeps what was imported', async () => {
      const [early, late] = [await visitorOfOldSite(), await visitorOfOldSite()];
      let asked = 0;
      const get: Store['get'] = (id, done) => {
        asked += 1;
        old.get(id, done);
      };
      const origin = await openNewSite({ from: { get }, ms: 10 * MINUTE });
      assert.deepEqual((await httpClient(origin, early.cookie).get('/')).json, ADA);
      assert.equal(asked, 1);
      now += 10 * MINUTE;
      assert.equal((await httpClient(origin, late.cookie).get('/')).json.user, undefined);
      assert.deepEqual((await httpClient(origin, early.cookie).get('/')).json, ADA);
      await httpClient(origin, early.cookie).post('/log-out');
      assert.equal((await httpClient(origin, early.cookie).get('/')).json.user, undefined);
      assert.equal(asked, 1);
    });

    it('does not import a session that had expired', async () => {
      const { cookie, id } = await visitorOfOldSite();
      const session = (await inOldStore(id)) as object;
      const expires = new Date(now - 1).toISOString();
      const get: Store['get'] = (_id, done) =>
        done(null, { ...session, cookie: { originalMaxAge: MINUTE, expires } } as never);
      const visitor = httpClient(await openNewSite({ from: { get } }), cookie);
      assert.equal((await visitor.get('/')).json.user, undefined);
      assert.deepEqual([count('imported'), count('unreadable')], [0, 0]);
    });

    it('starts afresh, and says why, when an old session cannot be read', async () => {
      const { cookie } = await visitorOfOldSite();
      const broken: [get: Store['get'], reason: RegExp][] = [
        [(_id, done) => done(new SyntaxError('no JSON')), /^old session: no JSON/],
        [(_id, done) => done(null, 7 as never), /^old session: .* "cookie"/],
        [(_id, done) => done(null, { user: 'Ada' } as never), /^old session: .* "cookie"/],
        [(_id, done) => done(null, { cookie: { expires: 'never' } } as never), /"expires"/],
      ];
      for (const [get, reason] of broken) {
        events.length = 0;
        const visitor = httpClient(await openNewSite({ from: { get } }), cookie);
        const response = await visitor.get('/');
        assert.deepEqual([response.status, response.json.user], [200, undefined]);
        assert.match(events.find(({ type }) => type === 'unreadable')?.reason ?? '', reason);
        assert.equal((await visitor.post('/add/coat')).status, 200);
        assert.deepEqual((await visitor.get('/')).json.cart, { coat: 1 });
      }
    });

    it('responds with 503 while the old store is down, and imports the session afterwards', async () => {
      const { cookie } = await visitorOfOldSite();
      let down = true;
      const get: Store['get'] = (id, done) => (down ? done(new Error('down')) : old.get(id, done));
      const visitor = httpClient(await openNewSite({ from: { get } }), cookie);
      assert.equal((await visitor.get('/')).status, 503);
      down = false;
      assert.deepEqual((await visitor.get('/')).json, ADA);
      assert.deepEqual([count('store-down'), count('store-up')], [1, 1]);
    });
  });

async function oldAppWithAda(options?: Parameters<typeof oldApp>[1]) {
  const store = new MemoryStore();
  const site = await listen(oldApp(store, options));
  const visitor = httpClient(site.origin);
  await visitor.post('/log-in');
  await site.close();
  return { store, cookie: visitor.cookie ?? '' };
}
const inAnHour = new Date(Date.now() + HOUR);

it('gives the cookie of an imported session its new name and attributes', async (t) => {
  for (const options of [{}, { name: 'sid', cookie: { maxAge: 24 * HOUR } }]) {
    const { store, cookie } = await oldAppWithAda(options);
    const { name: cookieName = 'connect.sid' } = options;
    const importFrom = oldStore(store, { until: inAnHour, map: toFields, cookieName });
    const app = withUpdateSession({ backend: memoryBackend(), importFrom }, [], Date.now);
    const site = await listen(app);
    t.after(site.close);
    const visitor = httpClient(site.origin, cookie);
    const [line = ''] = (await visitor.get('/')).headers.getSetCookie();
    assert.match(line, /^sid=s.*; Path=\/.*; HttpOnly; SameSite=Lax$/);
    assert.equal(/Max-Age=43\d{3};/.test(line), 'cookie' in options, line);
    await visitor.post('/add/coat');
    assert.deepEqual((await visitor.get('/')).headers.getSetCookie(), []);
    await httpClient(site.origin, visitor.cookie).post('/renew');
    for (const dead of [cookie, visitor.cookie])
      assert.equal((await httpClient(site.origin, dead).get('/')).json.user, undefined);
  }
});

it('a log-out or log-in also ends the session of the cookie with the old name, imported or not', async (t) => {
  for (const path of ['/log-out', '/renew'])
    for (const isImported of [false, true]) {
      const { store, cookie } = await oldAppWithAda();
      const backend = memoryBackend();
      const importFrom = oldStore(store, { until: inAnHour, map: toFields });
      // The visitor's first session is from a time when the app did not yet import.
      const ofNobody = oldStore(new MemoryStore(), { until: inAnHour });
      const [earlier, site] = await Promise.all(
        [ofNobody, importFrom].map((each) =>
          listen(withUpdateSession({ backend, importFrom: each }, [], Date.now)),
        ),
      );
      assert.ok(earlier && site);
      t.after(() => Promise.all([earlier.close(), site.close()]));
      const visitor = httpClient(earlier.origin);
      await visitor.post('/add/coat');
      if (isImported) await httpClient(site.origin, cookie).get('/');
      const both = httpClient(site.origin, `${visitor.cookie}; ${cookie}`);
      assert.equal((await both.post(path)).status, 200);
      const left = () => JSON.stringify([...backend.texts]);
      const kept = left();
      const { json } = await httpClient(site.origin, cookie).get('/');
      assert.equal(json.user, undefined, `${path}, ${isImported}`);
      assert.equal(left(), kept, 'it is not imported and thrown away again');
    }
});

it('a socket that reconnects before any page is loaded moves its session, too', async (t) => {
  const { store, cookie } = await oldAppWithAda();
  const importFrom = oldStore(store, { until: inAnHour, map: toFields });
  const sessions = sessionMiddleware({
    backend: memoryBackend(),
    importFrom,
    secrets: [secret],
    idleMs: HOUR,
    absoluteMs: HOUR,
    cookie: {
      name: 'sid',
      attributes: { path: '/', httpOnly: true, secure: false, sameSite: 'lax' },
    },
  });
  const app = express().get('/', async (req, res) => {
    res.json({ user: (await sessionOf(req, sessions))?.fields.user?.name });
  });
  const site = await listen(app);
  t.after(site.close);
  for (let n = 0; n < 2; n++)
    assert.equal((await httpClient(site.origin, cookie).get('/')).json.user, 'Ada');
});

it('says why an old session cannot become a new one', async (t) => {
  const { store, cookie } = await oldAppWithAda();
  const unnamed = () => {
    throw new Error('the user has no name');
  };
  const maps: [ToFields, RegExp][] = [
    [() => ({ cart: 'hat' }), /^cart: /],
    [unnamed, /^old session: the user has no name/],
  ];
  for (const [map, reason] of maps) {
    const events: Events = [];
    const importFrom = oldStore(store, { until: inAnHour, map });
    const app = withUpdateSession({ backend: memoryBackend(), importFrom }, events, Date.now);
    const site = await listen(app);
    t.after(site.close);
    const response = await httpClient(site.origin, cookie).get('/');
    assert.deepEqual([response.status, response.json], [200, {}]);
    assert.match(events.find(({ type }) => type === 'unreadable')?.reason ?? '', reason);
  }
});

it('refuses an invalid date', () => {
  const options = { until: new Date('24th of December') };
  assert.throws(() => oldStore(new MemoryStore(), options), /"until" is not a valid date/);
});

it('the drop-in store ends a session that it has not imported yet', async (t) => {
  const { store, cookie } = await oldAppWithAda();
  const dropIn = dropInStore(memoryBackend(), { importFrom: oldStore(store, { until: inAnHour }) });
  const site = await listen(oldApp(dropIn));
  t.after(site.close);
  const id = /s:(.+)\./.exec(decodeURIComponent(cookie))?.[1] ?? '';
  await new Promise((resolve) => dropIn.destroy(id, resolve));
  assert.equal((await httpClient(site.origin, cookie).get('/')).json.user, undefined);
});

/** Lets callers go on once `size` of them are waiting, and later ones at once. */
function barrier(size: number): () => Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let waiting = 0;
  return () => {
    waiting += 1;
    if (waiting === size) resolve();
    return promise;
  };
}

it('the drop-in store does not remember the end of a session that was never in the old store', async (t) => {
  const backend = memoryBackend();
  const importFrom = oldStore(new MemoryStore(), { until: new Date(Date.now() + HOUR) });
  const site = await listen(oldApp(dropInStore(backend, { importFrom })));
  t.after(site.close);
  const visitor = httpClient(site.origin);
  await visitor.post('/log-out');
  await visitor.post('/add/coat');
  assert.equal(backend.texts.size, 1);
  await visitor.post('/log-out');
  assert.deepEqual([...backend.texts], []);
});
