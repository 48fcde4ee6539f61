// Runs the examples of docs/migrate.md: the tutorials' app is stopped, and a new one takes its place.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, it, type TestContext } from 'node:test';
import { sign } from 'cookie-signature';
import express, { type RequestHandler } from 'express';
import pLimit from 'p-limit';
import { memoryBackend, type SessionOptions, sessionMiddleware } from '../app/session/index.ts';
import { type Child, startChild } from '../test-support/child.ts';
import { beforeTheEnd, Gate } from '../test-support/gate.ts';
import { httpClient } from '../test-support/http-client.ts';
import { listen } from '../test-support/listen.ts';
import { type RedisServer, startRedis } from '../test-support/redis.ts';

const root = resolve(import.meta.dirname, '..');
const tomorrow = new Date(Date.now() + 24 * 3_600_000).toISOString();
const page = readFileSync(join(root, 'docs/migrate.md'), 'utf8').replaceAll('2027-01-31', tomorrow);
const [toUpdateSession = '', toDropInStore = '', fromSql = '', fromCookie = ''] = [
  ...page.matchAll(/```ts\n(.*?)```/gs),
].map(([, code = '']) => code);

const newApps = [
  {
    name: 'updateSession',
    code: `${toUpdateSession}
      import express from 'express';
      import { endSession, updateSession } from './session/index.ts';
      import { listen } from '../test-support/listen.ts';
      const app = express();
      app.use(sessions);
      app.post('/cart/:item', async (req, res) => {
        await updateSession(req, (draft) => {
          draft.cart = { ...draft.cart, [req.params.item]: 1 };
        });
        res.json({});
      });
      app.post('/logout', async (req, res) => {
        await endSession(req, res);
        res.json({});
      });
      app.get('/', (req, res) => {
        res.json({ user: req.session.userName, cart: req.session.cart });
      });
      console.log('Listening:', (await listen(app)).origin);`,
  },
  {
    name: 'the drop-in store',
    code: `${toDropInStore}
      import { listen } from '../test-support/listen.ts';
      import { tutorialApp } from '../test-support/tutorial-app.ts';
      console.log('Listening:', (await listen(tutorialApp(store, async () => {}))).origin);`,
  },
];

const cleanup = new AsyncDisposableStack();
after(() => cleanup.disposeAsync());
const adopt = (child: Child) => cleanup.adopt(child, async ({ stop }) => void (await stop()));

// How many sessions of logged-in users hold what was in the cart, and what was added after the move.
const COUNT_UMBRELLAS = `
  local count = 0
  for _, key in ipairs(redis.call('KEYS', '*')) do
    local text = redis.call('GET', key)
    if text:find('"ada"') and text:find('"hat":1') and text:find('"umbrella":1') then
      count = count + 1
    end
  end
  return count`;

const VISITORS = 1000;
const limit = pLimit(50);
const gate = new Gate();
let redis: RedisServer;
/** The Redis databases of the two new apps, each with a copy of the old sessions. */
let databases: string[];
/** The origins of old processes that were not stopped, one for each database. */
let forgotten: string[];
let visitors: { cookie: string; items: string[] }[];

before(async () => {
  redis = cleanup.adopt(await startRedis(), ({ stop }) => stop());
  databases = [redis.url, `${redis.url}/1`];
  const waiting = await listen((_req, res) => void gate.pass().then(() => res.end()));
  cleanup.adopt(waiting, ({ close }) => close());
  const old = await startOldApp(waiting.origin);
  forgotten = (await startOldApp(waiting.origin)).origins;
  const [origin = ''] = old.origins;
  visitors = await Promise.all(
    Array.from({ length: VISITORS }, () =>
      limit(async () => {
        const visitor = httpClient(origin);
        await visitor.post('/cart/hat');
        await visitor.post('/login');
        return { cookie: visitor.cookie ?? '', items: ['hat'] };
      }),
    ),
  );

  let [answered, refused] = [0, 0];
  const busy = visitors.slice(0, VISITORS / 2).map(({ cookie, items }) =>
    limit(async () => {
      const response = await httpClient(origin, cookie)
        .post('/cart/coat')
        .catch(() => undefined);
      if (!response) refused += 1;
      else items.push('coat');
      if (++answered === VISITORS / 4) await old.stop();
    }),
  );
  await Promise.all(busy);
  assert.ok(refused > 0);
  const copy =
    "for _, key in ipairs(redis.call('KEYS', '*')) do redis.call('COPY', key, key, 'DB', 1) end";
  await redis.cli('EVAL', copy, '0');
});

async function startOldApp(waiting: string) {
  const ready = /Listening: (.*)\n/;
  const args = [join(import.meta.dirname, 'tutorial-process.ts'), waiting, ...databases];
  const child = adopt(await startChild(process.execPath, args, { ready }));
  const sites: { before: string }[] = JSON.parse(ready.exec(child.output())?.[1] ?? '');
  return { origins: sites.map((each) => each.before), stop: child.stop };
}

async function startNewApp(code: string, database: string): Promise<string> {
  const ready = /Listening: (.*)\n/;
  const args = ['--input-type=module-typescript', '--eval', code];
  const child = await startChild(process.execPath, args, {
    cwd: join(root, 'app'),
    ready,
    env: { REDIS_URL: database },
  });
  adopt(child);
  return ready.exec(child.output())?.[1] ?? '';
}

for (const [n, { name, code }] of newApps.entries()) {
  let origins: string[];

  it(`0 of 1,000 visitors are logged out or lose anything when the app changes to ${name}`, async (t) => {
    const start = () => startNewApp(code, databases[n] ?? '');
    origins = await Promise.all([start(), start()]);
    const [one = '', other = ''] = origins;
    let [loggedOut, emptied] = [0, 0];
    const visit = async ({ cookie, items }: { cookie: string; items: string[] }) => {
      const added = httpClient(other, cookie).post('/cart/umbrella');
      const { user, cart = {} } = (await httpClient(one, cookie).get('/')).json;
      if (user !== 'ada') loggedOut += 1;
      if (items.some((item) => !(item in cart))) emptied += 1;
      assert.equal((await added).status, 200);
    };
    await Promise.all(visitors.map((visitor) => limit(visit, visitor)));
    t.diagnostic(`${loggedOut} of ${VISITORS} logged out, ${emptied} emptied`);
    assert.deepEqual([loggedOut, emptied], [0, 0]);
    const inDatabase = (...words: string[]) => redis.cli('-n', `${n}`, ...words);
    assert.equal(await inDatabase('EVAL', COUNT_UMBRELLAS, '0'), `${VISITORS}`);
    assert.equal(await inDatabase('KEYS', `sess:${'?'.repeat(32)}`), '', 'no old key is left');
  });

  it(`with ${name}, a log-out is not undone when an old process stores the session once more`, async () => {
    const [origin = ''] = origins;
    const visitor = httpClient(forgotten[n] ?? '');
    await visitor.post('/add');
    await visitor.post('/login');
    const { cookie } = visitor;
    const arrived = gate.expect();
    const slow = visitor.post('/slow-add');
    await beforeTheEnd(arrived, slow);
    assert.equal((await httpClient(origin, cookie).get('/')).json.user, 'ada');
    await httpClient(origin, cookie).post('/logout');
    gate.open();
    assert.equal((await slow).status, 200);
    const key = `sess:${/s:(.+)\./.exec(decodeURIComponent(cookie ?? ''))?.[1]}`;
    assert.equal(await redis.cli('-n', `${n}`, 'EXISTS', key), '1');
    for (const each of origins)
      assert.equal((await httpClient(each, cookie).get('/')).json.user, undefined);
  });
}

/** Imports an example of the page, from a folder of its own. */
async function load(t: TestContext, code: string) {
  const folder = mkdtempSync(join(import.meta.dirname, 'lifted-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'example.ts');
  const here = code.replaceAll("'./session/", "'../../app/session/");
  writeFileSync(file, here.replace('sessions.db', join(folder, 'sessions.db')));
  return { folder, import: () => import(file) };
}

/** An app that shows what the session holds. */
async function startApp(
  t: TestContext,
  importFrom: SessionOptions['importFrom'],
  more: RequestHandler[],
) {
  const app = express();
  app.use(
    sessionMiddleware({
      backend: memoryBackend(),
      ...(importFrom && { importFrom }),
      secrets: ['keyboard cat'],
      cookie: {
        name: 'sid',
        attributes: { path: '/', httpOnly: true, secure: false, sameSite: 'lax' },
      },
      idleMs: 60_000,
      absoluteMs: 60_000,
    }),
    ...more,
  );
  app.get('/', (req, res) => res.json({ views: req.session.views }));
  const site = await listen(app);
  t.after(site.close);
  return site.origin;
}

it('the two functions of the SQL example move a session', async (t) => {
  const example = await load(t, fromSql);
  const database = new DatabaseSync(join(example.folder, 'sessions.db'));
  t.after(() => database.close());
  database.exec('CREATE TABLE sessions (sid TEXT PRIMARY KEY, sess TEXT)');
  const row = database.prepare('INSERT INTO sessions VALUES (?, ?)');
  row.run('good', JSON.stringify({ cookie: { originalMaxAge: null }, views: 7 }));
  row.run('broken', '{"cookie":');
  const { importFrom } = await example.import();
  const origin = await startApp(t, importFrom, []);
  const cookieOf = (id: string) => `connect.sid=s:${sign(id, 'keyboard cat')}`;
  const views = async (id: string) => (await httpClient(origin, cookieOf(id)).get('/')).json.views;
  assert.equal(await views('good'), 7);
  assert.equal(await views('broken'), 0);
  assert.equal(await views('missing'), 0);
  assert.deepEqual(
    database
      .prepare('SELECT sid FROM sessions')
      .all()
      .map(({ sid }) => sid),
    ['broken'],
  );
});

it('the example for cookie-session takes over what its cookie holds, once', async (t) => {
  const { fromCookieSession, readOldCookie } = await (await load(t, fromCookie)).import();
  const origin = await startApp(t, undefined, [fromCookieSession]);
  // As cookie-session 2.1.1 sent it for { views: 7 } and the key 'keyboard cat'.
  const old = 'session=eyJ2aWV3cyI6N30=; session.sig=wX6NBzhp48_F-ZYXIZN7OxC-4AI';
  const response = await httpClient(origin, old).get('/');
  assert.equal(response.json.views, 7);
  const [sent = '', ...cleared] = response.headers.getSetCookie().toReversed();
  assert.deepEqual(
    cleared.map((line) => line.split('; Expires=')[0]),
    ['session.sig=; Path=/', 'session=; Path=/'],
  );
  const both = await httpClient(origin, `${sent.split(';')[0]}; ${old}`).get('/');
  assert.equal(both.json.views, 7);
  assert.ok(both.headers.getSetCookie().every((line) => !line.startsWith('sid=')));
  for (const forged of [old.replace('eyJ2', 'eyJ1'), old.replace('4AI', '4A'), 'session=7'])
    assert.equal((await httpClient(origin, forged).get('/')).json.views, 0);
  assert.deepEqual(readOldCookie({ headers: { cookie: old } }), { views: 7 });
});
