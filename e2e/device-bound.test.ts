// Nobody is locked out by a session that is bound to the browser: two processes on one Redis, and many
// browsers. app/session-tests/device-bound.test.ts has the rules, one by one.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import { ask, type BoundBrowser, boundBrowser } from '../test-support/bound-browser.ts';
import { type Child, startChild } from '../test-support/child.ts';
import { type RedisServer, startRedis } from '../test-support/redis.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const COOKIE = '__Host-device';

type Process = { origin: string; child: Child };
let redis: RedisServer;
let processes: Process[] = [];
let ahead = 0;
const now = () => Date.now() + ahead;

before(async () => {
  redis = await startRedis();
  processes = await Promise.all([start('old secret'), start('old secret')]);
});
after(async () => {
  await Promise.all(processes.map(({ child }) => child.stop()));
  await redis.stop();
});

async function start(...secrets: string[]): Promise<Process> {
  const args = ['test-support/bound-app.ts', redis.url, ...secrets];
  const child = await startChild(process.execPath, args, { ready: /port \d+/ });
  const origin = `http://127.0.0.1:${/port (\d+)/.exec(child.output())?.[1]}`;
  await ask(`${origin}/clock/${ahead}`, { method: 'POST' });
  return { origin, child };
}

async function pass(ms: number): Promise<void> {
  ahead += ms;
  for (const { origin } of processes) await ask(`${origin}/clock/${ahead}`, { method: 'POST' });
}

/** Each request of these browsers goes to the next process. */
let turn = 0;
const newBrowser = () =>
  boundBrowser(() => processes[turn++ % processes.length]?.origin ?? '', now);

/** Asks again after a 503: on a busy machine, Redis can be late. */
async function visit(browser: BoundBrowser, path: string, method = 'GET'): Promise<Response> {
  let response = await browser.request(path, { method });
  while (response.status === 503) response = await browser.request(path, { method });
  return response;
}

/** @param meanwhile runs while the browser registers its key */
async function bind(browser: BoundBrowser, meanwhile = async () => {}): Promise<void> {
  // Like a browser, this one does not try again if its registration gets a 503.
  while (!browser.device) {
    assert.equal((await visit(browser, '/login', 'POST')).status, 303);
    await meanwhile();
    await browser.registered();
    assert.ok(browser.device || browser.registrationStatus === 503);
  }
}

async function bound(): Promise<BoundBrowser> {
  const browser = newBrowser();
  await bind(browser);
  return browser;
}

/** @returns how many of `n` requests at once did not get the page of the user */
async function refusals(browser: BoundBrowser, n: number): Promise<number> {
  const responses = Array.from({ length: n }, async (_, each) => {
    const response = await visit(browser, '/', each % 5 === 4 ? 'POST' : 'GET');
    return response.status === 200 && ((await response.json()) as { user: unknown }).user === 'Ada';
  });
  return (await Promise.all(responses)).filter((right) => !right).length;
}

const limit = pLimit(20);
const total = async (browsers: BoundBrowser[], run: (each: BoundBrowser) => Promise<number>) =>
  (await Promise.all(browsers.map((each) => limit(() => run(each))))).reduce((a, b) => a + b, 0);

it('refuses no request of 300 log-ins, each with ten simultaneous requests', async () => {
  const browsers = Array.from({ length: 300 }, newBrowser);
  const refused = await total(browsers, async (browser) => {
    let early = 0;
    await bind(browser, async () => {
      early += await refusals(browser, 10);
    });
    return early;
  });
  assert.equal(refused, 0);

  const some = browsers.slice(0, 50);
  assert.equal(await total(some, (browser) => refusals(browser, 10)), 0); // the first proof
  for (const time of [11 * SECOND, 9 * MINUTE, 11 * MINUTE]) {
    await pass(time);
    assert.equal(await total(some, (browser) => refusals(browser, 3)), 0);
  }
  assert.deepEqual(
    some.flatMap(({ ended }) => ended),
    [],
  );
});

it('refuses no request during password changes, and logs in again while requests are under way', async () => {
  const browsers = await Promise.all(Array.from({ length: 50 }, bound));
  for (const path of ['/password', '/login', '/password']) {
    await pass(11 * SECOND);
    const refused = await total(browsers, async (browser) => {
      // Requests under the old id find an empty session, which they cannot change: that is no refusal.
      const during = [visit(browser, '/'), visit(browser, '/login')];
      await visit(browser, path, 'POST');
      const statuses = (await Promise.all(during)).map(({ status }) => status);
      await browser.registered();
      return statuses.filter((status) => status !== 200).length + (await refusals(browser, 3));
    });
    assert.equal(refused, 0, path);
  }
  assert.deepEqual(
    browsers.flatMap(({ ended }) => ended),
    [],
  );
});

it('refuses no request while the secret is rotated and all processes are replaced', async () => {
  const browsers = await Promise.all(Array.from({ length: 8 }, bound));
  await Promise.all(browsers.map((browser) => refusals(browser, 1)));
  await pass(11 * SECOND);
  const replaced = new AbortController();
  let count = 0;
  const visits = browsers.map(async (browser) => {
    let refused = 0;
    for (; !replaced.signal.aborted; count++) {
      browser.cookies.delete(COOKIE); // as if it had expired
      refused += await refusals(browser, 3);
      await sleep(20);
    }
    return refused;
  });
  for (const secrets of [
    ['old secret', 'new secret'],
    ['new secret', 'old secret'],
    ['new secret'],
  ])
    for (const n of [0, 1]) {
      const { child: old } = processes[n] as Process;
      processes = processes.with(n, await start(...secrets));
      await old.stop();
    }
  replaced.abort();
  assert.deepEqual(
    await Promise.all(visits),
    browsers.map(() => 0),
  );
  assert.ok(count > 100, `${count} rounds`);
  assert.deepEqual(
    browsers.flatMap(({ ended }) => ended),
    [],
  );
});

it('responds with 503 while Redis is silent, at each step, and nobody has to log in again', async () => {
  const [atLogIn, atRegistration] = [newBrowser(), newBrowser()];
  const [atFirstProof, atRefresh, atRequest] = await Promise.all([bound(), bound(), bound()]);
  await Promise.all([atRefresh, atRequest].map((browser) => refusals(browser, 1)));
  await pass(11 * SECOND);
  await atRegistration.send('/login', { method: 'POST' });
  redis.pause();
  atRefresh.cookies.delete(COOKIE);
  const statuses = await Promise.all([
    atLogIn.request('/login', { method: 'POST' }),
    atFirstProof.request('/'),
    atRefresh.request('/'),
    atRequest.request('/'),
    atRequest.request('/', { method: 'POST' }),
    atRequest.request('/password', { method: 'POST' }),
  ]);
  await atRegistration.registered();
  redis.resume();
  assert.deepEqual(
    statuses.map(({ status }) => status),
    statuses.map(() => 503),
  );
  const loggedIn = [atRegistration, atFirstProof, atRefresh, atRequest];
  // The first answer after a silence may be late.
  for (const browser of loggedIn) {
    await visit(browser, '/');
    assert.equal(await refusals(browser, 10), 0);
    assert.deepEqual(browser.ended, []);
  }
});
