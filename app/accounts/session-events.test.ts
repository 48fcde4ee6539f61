import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import express from 'express';
import { register } from 'prom-client';
import { readConfig } from '../../config/environment.ts';
import { Gate } from '../../test-support/gate.ts';
import { type HttpClient, httpClient } from '../../test-support/http-client.ts';
import { ADA, createShop, type Shop, startShop } from '../../test-support/start-shop.ts';
import { until } from '../../test-support/until.ts';
import { prepareDrain } from '../process/drain.ts';
import { createHttpServer } from '../process/http-server.ts';
import {
  type Backend,
  memoryBackend,
  type SessionOptions,
  sessionMiddleware,
} from '../session/index.ts';
import { eventStreams } from './session-events.ts';

const ADA_ID = 'acct_ada';
const NEW_PASSWORD = 'difference-engine';
const backend = memoryBackend();
const config = readConfig({ SESSION_SECRET: 'only-for-tests-'.repeat(4) });
const session: SessionOptions = { ...config, backend, askEveryMs: 20 };
let shop: Shop;
before(async () => {
  shop = await startShop(backend, { session });
});
after(() => shop.close());

async function loggedIn(password = ADA.password): Promise<HttpClient> {
  const visitor = shop.visitor();
  assert.equal((await visitor.post('/login', { json: { ...ADA, password } })).status, 200);
  return visitor;
}

/** Serves until the test ends, even if a stream is open then. */
async function serve(t: TestContext, server: Server): Promise<string> {
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Opens the stream as a browser does, and waits for its first event. */
async function openStream(
  { origin, cookie = '' }: { origin: string; cookie?: string | undefined },
  agent = new Agent(),
) {
  const headers = { accept: 'text/event-stream', cookie };
  const [response]: IncomingMessage[] = await once(
    request(`${origin}/session/events`, { headers, agent }).end(),
    'response',
  );
  assert.ok(response);
  if (response.statusCode !== 200)
    return { response, status: response.statusCode, events: [], ended: text(response) };
  const events: { user?: string; ended?: string }[] = [];
  let received = '';
  response.setEncoding('utf8').on('data', (chunk: string) => {
    received += chunk;
    const lines = received.matchAll(/^data: (.*)\n\n/gm);
    events.splice(0, events.length, ...[...lines].map(([, json = '']) => JSON.parse(json)));
  });
  const ended = once(response, 'end').then(() => events);
  await until(async () => events.length > 0 || response.complete, 'the first event');
  return { response, status: 200, events, ended };
}

// First, because the metrics would count the streams of other tests, too.
it('the measured duration of a stream ends at its first byte, and a stream is not logged', async () => {
  const logged = shop.log.length;
  const visitor = await loggedIn();
  const started = performance.now();
  const stream = await openStream(visitor);
  const seconds = (performance.now() - started) / 1000;
  await until(async () => performance.now() - started > 3000 * seconds, 'it stays open');
  await visitor.post('/logout');
  await stream.ended;
  const line = /^cloakroom_request_seconds_sum\{.*"\/session\/events".*\} (.*)$/m;
  let sum: number | undefined;
  await until(async () => {
    sum = Number(line.exec(await register.metrics())?.[1]);
    return !Number.isNaN(sum);
  }, 'it is counted');
  assert.ok((sum as number) <= seconds, `${sum} s of ${seconds} s`);
  assert.doesNotMatch(shop.log.slice(logged).join(), /session\/events/);
});

it('an open page learns why its session has ended', async () => {
  const page = await loggedIn();
  const stream = await openStream(page);
  assert.deepEqual(stream.events, [{ user: ADA_ID }]);
  await page.post('/logout');
  assert.deepEqual(await stream.ended, [{ user: ADA_ID }, { ended: 'ended' }]);

  const elsewhere = await loggedIn();
  const [one, two] = [await openStream(await loggedIn()), await openStream(await loggedIn())];
  const own = await openStream(elsewhere);
  await elsewhere.post('/account/sessions/end-others', { json: ADA });
  for (const { ended } of [one, two])
    assert.deepEqual(await ended, [{ user: ADA_ID }, { ended: 'revoked' }]);
  assert.deepEqual(own.events, [{ user: ADA_ID }]);
  own.response.destroy();
});

it('a new password ends the streams of other devices, and this browser opens another', async () => {
  const [here, there] = [await loggedIn(), await loggedIn()];
  const streams = { here: await openStream(here), there: await openStream(there) };
  const json = { currentPassword: ADA.password, newPassword: NEW_PASSWORD };
  assert.equal((await here.post('/account/password', { json })).status, 200);
  assert.deepEqual((await streams.there.ended).at(-1), { ended: 'revoked' });
  assert.deepEqual(await streams.here.ended, [{ user: ADA_ID }]);
  const next = await openStream(here);
  assert.deepEqual(next.events, [{ user: ADA_ID }]);
  next.response.destroy();
  const back = { currentPassword: NEW_PASSWORD, newPassword: ADA.password };
  await here.post('/account/password', { json: back });
});

it('a stream without a session ends at once, and a guest’s stays open', async () => {
  const nobody = await openStream(shop.visitor());
  assert.deepEqual(await nobody.ended, [{}, { ended: 'ended' }]);
  const guest = shop.visitor();
  await guest.get('/');
  const stream = await openStream(guest);
  assert.deepEqual(stream.events, [{}]);
  stream.response.destroy();
});

it('a request that asks who is logged in is answered at once, and changes nothing in the store', async () => {
  const visitor = await loggedIn();
  const stored = [...backend.texts];
  const { user } = (await visitor.get('/session/events')).json;
  assert.equal(user.id, ADA_ID);
  const stream = await openStream(visitor);
  stream.response.destroy();
  const accept = 'text/event-stream';
  assert.equal(
    (await visitor.request('HEAD', '/session/events', { headers: { accept } })).status,
    200,
  );
  assert.deepEqual((await shop.visitor().get('/session/events')).json, { user: null });
  assert.deepEqual([...backend.texts], stored);
});

it('a session has at most four streams, and a closed one makes room', async () => {
  const visitor = await loggedIn();
  const streams = await Promise.all(Array.from({ length: 4 }, () => openStream(visitor)));
  const fifth = await openStream(visitor);
  assert.equal(fifth.status, 503);
  assert.equal(fifth.response.headers['retry-after'], '30');
  streams.pop()?.response.destroy();
  await until(async () => {
    const next = await openStream(visitor);
    if (next.status === 200) streams.push(next);
    return next.status === 200;
  }, 'there is room');
  for (const { response } of streams) response.destroy();
});

it('a drain ends all streams at once, even those that open later', async (t) => {
  const { app } = createShop(backend, { session });
  const server = createServer(app);
  const drain = prepareDrain(server, app);
  const origin = await serve(t, server);
  const visitor = httpClient(origin);
  await visitor.post('/login', { json: ADA });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const stream = await openStream(visitor, agent);
  const drained = drain(10_000);
  assert.deepEqual(await stream.ended, [{ user: ADA_ID }], 'no end of the session');
  const late = await openStream(visitor, agent);
  assert.equal(late.response.headers.connection, 'close');
  assert.deepEqual(await late.ended, [{ user: ADA_ID }]);
  server.closeAllConnections(); // the log-in's
  await drained;
});

it('a silent stream is not cut off as stalled, and ends by itself', async (t) => {
  const events = eventStreams(sessionMiddleware(session), { pingMs: 50, streamMs: 4000 });
  const app = express().get('/session/events', events.show);
  const origin = await serve(t, createHttpServer(app, { stallMs: 2500 }));
  const { cookie } = await loggedIn();
  const stream = await openStream({ origin, cookie });
  assert.deepEqual(await stream.ended, [{ user: ADA_ID }]);
});

it('a stream that waits behind another on its connection can end, and is not written to after that', async (t) => {
  const events = eventStreams(sessionMiddleware(session), { pingMs: 20 });
  const failures: unknown[] = [];
  const app = express().get('/session/events', (req, res, next) => {
    res.on('error', (error) => failures.push(error)); // without a listener, the process would end
    return events.show(req, res, next);
  });
  const { port } = new URL(await serve(t, createServer(app)));
  const socket = connect(Number(port), '127.0.0.1');
  let received = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    received += chunk;
  });
  const has = (part: string, times: number) => async () => received.split(part).length > times;
  const visitors = [await loggedIn(), await loggedIn()];
  for (const { cookie } of visitors) {
    const headers = `Host: localhost\r\nAccept: text/event-stream\r\nCookie: ${cookie}`;
    socket.write(`GET /session/events HTTP/1.1\r\n${headers}\r\n\r\n`);
  }
  await until(has('"user"', 1), 'the first stream');
  await visitors[1]?.post('/logout');
  const pings = received.split(':\n\n').length;
  await until(has(':\n\n', pings + 10), 'ten pings');
  await visitors[0]?.post('/logout');
  await until(has('{"ended":"ended"}', 2), 'both have ended');
  assert.deepEqual(failures, []);
});

it('a full process refuses more streams, and a browser that leaves before its stream begins does not count', async (t) => {
  const gate = new Gate();
  let isSlow = true;
  const get: Backend['get'] = async (key) => {
    if (isSlow) await gate.pass();
    return backend.get(key);
  };
  const sessions = sessionMiddleware({ ...session, backend: { ...backend, get } });
  const app = express().set('env', 'test'); // Express then prints no errors
  app.get('/session/events', eventStreams(sessions, { total: 1 }).show);
  const server = createServer(app);
  const origin = await serve(t, server);
  const { cookie = '' } = await loggedIn();
  const headers = { accept: 'text/event-stream', cookie };
  const arrived = gate.expect();
  const leaving = request(`${origin}/session/events`, { headers }).on('error', () => {});
  leaving.end();
  await arrived;
  leaving.destroy();
  const connections = promisify(server.getConnections.bind(server));
  await until(async () => (await connections()) === 0, 'the server knows');
  isSlow = false;
  gate.open();
  const stream = await openStream({ origin, cookie });
  assert.equal(stream.status, 200);
  assert.equal((await openStream({ origin, cookie })).status, 503);
  stream.response.destroy();
});
