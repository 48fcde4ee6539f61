import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { after, before, beforeEach, it } from 'node:test';
import express from 'express';
import { type HttpClient, httpClient } from '../../test-support/http-client.ts';
import { type Listening, listen } from '../../test-support/listen.ts';
import { until } from '../../test-support/until.ts';
import {
  draftOf,
  type EndReason,
  endSession,
  memoryBackend,
  renewSession,
  type SessionRecord,
  sessionMiddleware,
  sessionOf,
  updateSession,
} from '../session/index.ts';

const IDLE_MS = 60_000;
const memory = memoryBackend();
let later = 0; // how far the clock has been moved, in milliseconds
let reads = 0;
let failing = false;
let isRevoked = async (_session: SessionRecord, _handle: string) => false;

const sessions = sessionMiddleware({
  backend: {
    ...memory,
    get: async (key) => {
      reads += 1;
      if (failing) throw new Error('down');
      return memory.get(key);
    },
  },
  secrets: ['s3cret'],
  cookie: {
    name: 'sid',
    attributes: { path: '/', httpOnly: true, secure: false, sameSite: 'lax' },
  },
  idleMs: IDLE_MS,
  absoluteMs: 60 * IDLE_MS,
  now: () => Date.now() + later,
  askEveryMs: 10,
  isRevoked: (session, handle) => isRevoked(session, handle),
});

let server: Listening;
let visitor: HttpClient;
before(async () => {
  const app = express().use(sessions);
  app.post('/change', async (req, res) => {
    await updateSession(req, (draft) => {
      draft.views += 1;
    });
    res.json({});
  });
  app.post('/renew', async (req, res) => {
    await renewSession(req, (old) => draftOf(old ?? req.session));
    res.json({});
  });
  app.post('/log-out', async (req, res) => {
    await endSession(req, res);
    res.json({});
  });
  app.get('/events', async (req, res) => {
    const session = await sessionOf(req);
    res.json({ views: session?.fields.views });
  });
  server = await listen(app);
});
after(() => server.close());
beforeEach(async () => {
  later = 0;
  failing = false;
  isRevoked = async () => false;
  visitor = httpClient(server.origin);
  await visitor.post('/change');
});

/** An upgrade request, which no middleware has seen. */
const open = (headers: Record<string, string> = {}, cookie = visitor.cookie) =>
  sessionOf({ headers: { cookie, ...headers } } as unknown as IncomingMessage, sessions);

async function openSocket() {
  const session = await open();
  assert.ok(session);
  const reasons: EndReason[] = [];
  const close = session.onEnd((reason) => reasons.push(reason));
  const told = async () => {
    await until(async () => reasons.length > 0, 'it is told');
    return reasons;
  };
  return { session, reasons, told, close };
}

const asked = async (times: number) => {
  const from = reads;
  await until(async () => reads >= from + times, 'it asks again');
};

it('each socket of a session is told once that it was logged out', async () => {
  const sockets = [await openSocket(), await openSocket()];
  await visitor.post('/log-out');
  for (const { told } of sockets) assert.deepEqual(await told(), ['ended']);
  const earlier = reads;
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(reads, earlier, 'nobody asks any more');
  for (const { reasons, close } of sockets) {
    close();
    assert.deepEqual(reasons, ['ended']);
  }
});

it('a session that runs out ends, and asking does not keep it alive', async () => {
  const { session, told } = await openSocket();
  const { lastSeenAt } = session.fields;
  later = IDLE_MS - 5000;
  await asked(3);
  assert.equal(session.fields.lastSeenAt, lastSeenAt);
  later = IDLE_MS + 1;
  assert.deepEqual(await told(), ['expired']);
});

it('a session that the store has deleted by itself is reported as expired', async () => {
  const { session, told } = await openSocket();
  later = IDLE_MS - 5;
  await memory.destroy(session.handle);
  assert.deepEqual(await told(), ['expired']);
});

it('a new id ends the socket, and the browser can open another under the new id', async () => {
  const { told } = await openSocket();
  await visitor.post('/renew');
  assert.deepEqual(await told(), ['renewed']);
  assert.ok(await open());
});

it('an outage of the store ends no session', async () => {
  const { reasons, told } = await openSocket();
  failing = true;
  await asked(3);
  await assert.rejects(open(), { name: 'StoreUnavailable' });
  failing = false;
  await asked(3);
  assert.deepEqual(reasons, []);
  await visitor.post('/log-out');
  assert.deepEqual(await told(), ['ended']);
});

it('the app can say that a session was revoked, and a failure of that check ends no session', async () => {
  const { session, reasons, told, close } = await openSocket();
  isRevoked = async () => {
    throw new Error('down');
  };
  await asked(3);
  assert.deepEqual(reasons, []);
  isRevoked = async (_session, handle) => handle === session.handle;
  assert.deepEqual(await told(), ['revoked']);
  assert.equal(await open(), undefined);
  close();
});

it('many sockets of a session cost one read, and none when the last one is closed', async () => {
  const sockets = await Promise.all(Array.from({ length: 50 }, openSocket));
  const [from, started] = [reads, performance.now()];
  await asked(5);
  const intervals = Math.ceil((performance.now() - started) / 10);
  assert.ok(reads - from <= intervals, `${reads - from} reads in ${intervals} intervals`);
  for (const { close } of sockets) close();
  const earlier = reads;
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(reads, earlier);
});

it('a socket sees the changes, and its timer does not keep the process running', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const session = await open();
  const earlier = timers();
  const close = session?.onEnd(() => {});
  assert.equal(timers(), earlier);
  await visitor.post('/change');
  await until(async () => session?.fields.views === 2, 'it sees the change');
  close?.();
});

it('no session is found without a cookie, with a forged one, or for another site', async () => {
  const host = 'shop.test:8080';
  for (const headers of [
    { host, origin: 'http://shop.test:8080' },
    { host: 'shop.test', origin: 'https://shop.test' },
    { host: 'shop.test:443', origin: 'https://shop.test' },
    { host, origin: 'http://proxied.test', 'sec-fetch-site': 'same-origin' },
    { host },
  ])
    assert.ok(await open(headers), JSON.stringify(headers));
  for (const headers of [
    { host, origin: 'http://evil.test' },
    { host, origin: 'http://shop.test:8081' },
    { host, origin: 'http://shop.test' },
    { host, origin: 'null' },
    { host, origin: 'http://shop.test:8080', 'sec-fetch-site': 'cross-site' },
    { host, 'sec-fetch-site': 'same-site' },
  ])
    assert.equal(await open(headers), undefined, JSON.stringify(headers));
  const forged = visitor.cookie?.replace(/.$/, 'x').replace(/sid=s%3A./, 'sid=s%3A_');
  for (const cookie of ['', 'sid=', 'sid=s%3A', forged])
    assert.equal(await open({}, cookie), undefined, `${cookie}`);
});

it('after the middleware, an event stream needs only its request, and does not restart the idle clock', async () => {
  const earlier = [...memory.texts];
  later = 1000;
  assert.deepEqual((await visitor.get('/events')).json, { views: 1 });
  assert.deepEqual([...memory.texts], earlier);
});
