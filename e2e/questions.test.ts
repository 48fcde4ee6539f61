// What docs/questions.md says, where no other test shows it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { sign, unsign } from 'cookie-signature';
import express from 'express';
import expressSession, { MemoryStore, type Store } from 'express-session';
import { WebSocket } from 'ws';
import {
  type Backend,
  dropInStore,
  endSession,
  memoryBackend,
  newSession,
  renewSession,
  type SessionMiddleware,
  sessionMiddleware,
  updateSession,
} from '../app/session/index.ts';
import { httpClient } from '../test-support/http-client.ts';
import { listen } from '../test-support/listen.ts';
import { until } from '../test-support/until.ts';

const docs = resolve(import.meta.dirname, '../docs');

it('each answer names the tests that show it', () => {
  const page = readFileSync(join(docs, 'questions.md'), 'utf8');
  const [, ...answers] = page.split(/^## /m);
  assert.ok(answers.length >= 10);
  for (const answer of answers) {
    const tests = [...answer.matchAll(/“(.+?)” in \[[\w.-]+\]\((\S+?)\)/g)];
    assert.ok(tests.length > 0, answer);
    for (const [, sentence = '', file = ''] of tests)
      assert.ok(
        readFileSync(join(docs, file), 'utf8').replaceAll("\\'", "'").includes(sentence),
        `${file} has no test “${sentence}”`,
      );
  }
});

// biome-ignore lint/suspicious/noExplicitAny: these apps are in JavaScript, as in the tutorials.
type Loose = any;

/** Requires nothing of this repository except, if it is given, the store. */
function expressSessionApp(store: Store, options: Partial<expressSession.SessionOptions> = {}) {
  const app = express();
  app.set('env', 'test'); // Express then prints no errors
  app.use(
    expressSession({
      ...{ store, secret: 'keyboard cat', resave: false, saveUninitialized: false },
      ...options,
    }),
  );
  app.get('/', ({ session }: Loose, res) => res.json({ views: session.views ?? 0 }));
  app.post('/', ({ session }: Loose, res) => {
    session.views = (session.views ?? 0) + 1;
    res.redirect(303, '/');
  });
  app.post('/save-first', async ({ session }: Loose, res) => {
    session.views = (session.views ?? 0) + 1;
    await promisify(session.save.bind(session))();
    res.redirect(303, '/');
  });
  app.post('/log-in', async (req: Loose, res) => {
    await promisify(req.session.regenerate.bind(req.session))();
    req.session.user = 'Ada';
    res.json({});
  });
  app.post('/log-out', async ({ session }: Loose, res) => {
    await promisify(session.destroy.bind(session))();
    res.json({});
  });
  return app;
}

function sessionsIn(backend: Backend, secure = false) {
  const attributes = { path: '/', httpOnly: true, secure, sameSite: 'lax' } as const;
  return sessionMiddleware({
    backend,
    secrets: ['keyboard cat'],
    cookie: { name: 'sid', attributes },
    idleMs: 60_000,
    absoluteMs: 60_000,
    askEveryMs: 20,
  });
}

function moduleApp(sessions: SessionMiddleware) {
  const app = express();
  app.set('env', 'test');
  app.use(sessions);
  app.get('/', (req, res) => res.json(req.session));
  app.post('/', async (req, res) => {
    await updateSession(req, (draft) => {
      draft.views += 1;
    });
    res.redirect(303, '/');
  });
  app.post('/log-in', async (req, res) => {
    const user = { id: '1', email: 'ada@example.com', name: 'Ada' };
    await renewSession(req, () => ({ ...newSession(), user }));
    res.json({});
  });
  app.post('/log-out', async (req, res) => {
    await endSession(req, res);
    res.json({});
  });
  return app;
}

async function visit(t: TestContext, app: express.Express) {
  const site = await listen(app);
  t.after(site.close);
  return httpClient(site.origin);
}

/** Holds writes back: `hold` resolves when the next one arrives, and `release` lets it go on. */
function writeBarrier() {
  let arrived = () => {};
  let goOn: Promise<void> | undefined;
  let release = () => {};
  return {
    hold: () => {
      const held = Promise.withResolvers<void>();
      goOn = held.promise;
      release = () => {
        goOn = undefined;
        held.resolve();
      };
      const waiting = Promise.withResolvers<void>();
      arrived = waiting.resolve;
      return waiting.promise;
    },
    release: () => release(),
    pass: async () => {
      arrived();
      await goOn;
    },
  };
}

it('with express-session, a redirect arrives before the session is stored, unless the handler saves first', async (t) => {
  const writes = writeBarrier();
  const memory = new MemoryStore();
  const slow: Store = Object.assign(new MemoryStore(), {
    get: memory.get.bind(memory),
    set: (...[id, session, done]: Parameters<MemoryStore['set']>) =>
      void writes.pass().then(() => memory.set(id, session, done)),
  });
  const visitor = await visit(t, expressSessionApp(slow));
  await visitor.post('/');
  const stored = writes.hold();
  // The end of the response is held back with the write, so this looks only at its beginning.
  const response = await fetch(`${visitor.origin}/`, {
    method: 'POST',
    redirect: 'manual',
    headers: { cookie: visitor.cookie ?? '' },
  });
  await stored;
  assert.equal(response.status, 303);
  assert.equal((await visitor.get('/')).json.views, 1, 'the page after the redirect is old');
  writes.release();
  await response.text();

  const order: string[] = [];
  const saved = writes.hold();
  const saving = visitor.post('/save-first').then(() => order.push('redirect'));
  await saved;
  await visitor.get('/');
  order.push('stored');
  writes.release();
  await saving;
  assert.deepEqual(order, ['stored', 'redirect']);
  assert.equal((await visitor.get('/')).json.views, 3);
});

it('with updateSession, a redirect arrives after the session is stored', async (t) => {
  const writes = writeBarrier();
  const memory = memoryBackend();
  const backend: Backend = {
    ...memory,
    compareAndSet: async (...change) => {
      await writes.pass();
      return memory.compareAndSet(...change);
    },
  };
  const visitor = await visit(t, moduleApp(sessionsIn(backend)));
  await visitor.post('/');
  const order: string[] = [];
  const stored = writes.hold();
  const response = visitor.post('/').then(() => order.push('redirect'));
  await stored;
  await httpClient(visitor.origin).get('/');
  order.push('stored');
  writes.release();
  await response;
  assert.deepEqual(order, ['stored', 'redirect']);
  assert.equal((await visitor.get('/')).json.views, 2);
});

it('express-session restarts maxAge at each change or, with rolling, at each response, so a session in use never ends', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
  for (const rolling of [false, true]) {
    const options = { rolling, cookie: { maxAge: 60_000 } };
    const visitor = await visit(t, expressSessionApp(new MemoryStore(), options));
    const expires = async (method: 'get' | 'post') => {
      const line = (await visitor[method]('/')).headers.get('set-cookie');
      return line && Date.parse(/Expires=([^;]+)/.exec(line)?.[1] ?? '') / 1000;
    };
    let last = Number(await expires('post'));
    for (let change = 0; change < 5; change++) {
      t.mock.timers.tick(30_000);
      assert.equal(await expires('get'), rolling ? last + 30 : null);
      t.mock.timers.tick(20_000);
      last += 50;
      assert.equal(await expires('post'), last);
    }
    assert.equal((await visitor.get('/')).json.views, 6, 'after 250 s');
  }
});

it('save, regenerate and destroy can be awaited with promisify, even on the drop-in store', async (t) => {
  for (const store of [new MemoryStore(), dropInStore(memoryBackend())]) {
    const visitor = await visit(t, expressSessionApp(store));
    await visitor.post('/save-first');
    const before = visitor.cookie;
    await visitor.post('/log-in');
    assert.notEqual(visitor.cookie, before);
    await visitor.post('/save-first');
    assert.equal((await visitor.get('/')).json.views, 1);
    await visitor.post('/log-out');
    assert.equal((await visitor.get('/')).json.views, 0);
  }
});

it('with express-session, even on the drop-in store, a late request under the old id gets a third session and its cookie', async (t) => {
  for (const store of [new MemoryStore(), dropInStore(memoryBackend())]) {
    const visitor = await visit(t, expressSessionApp(store));
    await visitor.post('/');
    const late = httpClient(visitor.origin, visitor.cookie);
    await visitor.post('/log-in');
    assert.equal((await late.get('/')).json.views, 0);
    const planted = late.cookie;
    await late.post('/');
    assert.ok(![undefined, planted, visitor.cookie].includes(late.cookie));
  }
});

it('a change over plain HTTP is refused if the cookie is Secure, unless a trusted proxy says that it was HTTPS', async (t) => {
  const app = moduleApp(sessionsIn(memoryBackend(), true));
  const visitor = await visit(t, app);
  const https = { headers: { 'x-forwarded-proto': 'https' } };
  const refused = await visitor.post('/', https);
  assert.equal(refused.status, 400);
  assert.match(refused.text, /the request came over plain HTTP.*trust proxy/);
  assert.equal(visitor.cookie, undefined);
  app.set('trust proxy', 1);
  assert.equal((await visitor.post('/', https)).status, 303);
  assert.equal((await visitor.get('/', https)).json.views, 1);
});

it('the sockets of the docs’ example see changes, and are closed at log-out', async (t) => {
  const page = readFileSync(join(docs, 'session-module.md'), 'utf8');
  const [, example = ''] =
    /^```ts\n(.*?from 'ws'.*?)^```/ms.exec(page.slice(page.indexOf('## Sockets'))) ?? [];
  const folder = mkdtempSync(join(import.meta.dirname, 'lifted-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'sockets.ts'), example.replace('./session/', '../../app/session/'));
  const { openSockets } = await import(join(folder, 'sockets.ts'));

  const sessions = sessionsIn(memoryBackend());
  const server = createServer(moduleApp(sessions)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  openSockets(server, sessions);
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const visitor = httpClient(`http://${address}`);
  await visitor.post('/');

  const socket = new WebSocket(`ws://${address}`, { headers: { cookie: visitor.cookie } });
  t.after(() => socket.terminate());
  await once(socket, 'open');
  const ask = async () => {
    socket.send('views?');
    const [said] = await once(socket, 'message');
    return String(said);
  };
  assert.equal(await ask(), 'Views: 1');
  await visitor.post('/');
  await until(async () => (await ask()) === 'Views: 2', 'the socket sees the change');
  const broken = new WebSocket(`ws://${address}`, { headers: { cookie: visitor.cookie } });
  t.after(() => broken.terminate());
  const upgraded = once(broken, 'upgrade');
  const [{ socket: raw }] = await upgraded;
  raw.write('no WebSocket frame'); // would end this process
  await once(broken, 'close');

  const closed = once(socket, 'close');
  await visitor.post('/log-out');
  const [code, reason] = await closed;
  assert.deepEqual([code, String(reason)], [4401, 'ended']);

  const stranger = new WebSocket(`ws://${address}`);
  const [, { statusCode }] = await once(stranger, 'unexpected-response');
  assert.equal(statusCode, 401);
});

it('a copied token still works after log-out, and a copied session cookie does not', async (t) => {
  const app = moduleApp(sessionsIn(memoryBackend()));
  app.get('/token', (_req, res) => res.json({ token: sign('Ada', 'a key') }));
  app.get('/who', (req, res) => res.json({ user: unsign(req.get('token') ?? '', 'a key') }));
  const visitor = await visit(t, app);
  await visitor.post('/log-in');
  const { token } = (await visitor.get('/token')).json;
  const copied = httpClient(visitor.origin, visitor.cookie);
  assert.equal((await copied.get('/')).json.user.name, 'Ada');
  await visitor.post('/log-out');
  assert.equal((await copied.get('/')).json.user, undefined);
  assert.equal((await copied.get('/who', { headers: { token } })).json.user, 'Ada');
});
