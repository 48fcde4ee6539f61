import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { register } from 'prom-client';
import { ADA, GRACE, startShop } from '../../test-support/start-shop.ts';
import { until } from '../../test-support/until.ts';
import { memoryBackend, sessionHandle } from '../session/index.ts';

it('logs a JSON line with the request id for each log-in, failure, log-out, refusal and limit', async (t) => {
  const shop = await startShop(memoryBackend());
  t.after(shop.close);
  const visitor = shop.visitor();
  const failed = await visitor.post('/login', { json: { ...ADA, password: 'wrong' } });
  await visitor.post('/login', { json: ADA });
  const id = /s:(.+)\./.exec(decodeURIComponent(visitor.cookie ?? ''))?.[1] ?? '?';
  await visitor.post('/cart/lines', { json: { sku: 'top-hat' } });
  await visitor.post('/cart/clear', { headers: { 'sec-fetch-site': 'cross-site' } });
  await visitor.get('/');
  await visitor.post('/logout');
  for (let n = 0; n < 11; n++)
    await visitor.post('/login', { json: { email: GRACE.email, password: 'a\r\n{"level":60}' } });

  const lines = shop.log.map((line) => JSON.parse(line));
  const events = lines.filter(({ event }) => event);
  assert.deepEqual(
    [...new Set(events.map(({ event }) => event))],
    ['log-in-failed', 'log-in', 'refused', 'log-out', 'limited'],
  );
  for (const line of lines) assert.match(line.time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  const [first] = events;
  assert.equal(first.requestId, failed.headers.get('x-request-id'));
  assert.equal(first.address, '127.0.0.1');
  assert.ok(
    events.find(({ event }) => event === 'log-out')?.session,
    'the log-out names its session',
  );
  // All lines use the same name for the session, and none reveals its id.
  const ofSession = lines.filter(({ session }) => session);
  assert.equal(new Set(ofSession.map(({ session }) => session)).size, 1);
  const all = shop.log.join('\n');
  for (const secret of [id, sessionHandle(id), ADA.password, GRACE.email])
    assert.ok(!all.includes(secret), secret);
});

it('logs once that the store went down and once that it is back', async (t) => {
  const memory = memoryBackend();
  let down = false;
  const get: typeof memory.get = (key) =>
    down ? Promise.reject(new Error('gone')) : memory.get(key);
  const shop = await startShop({ ...memory, get }, { answerWithinMs: 200 });
  t.after(shop.close);
  const visitor = shop.visitor();
  await visitor.get('/');
  for (down of [true, false]) for (let n = 0; n < 3; n++) await visitor.get('/');
  await sleep(300); // past the deadline of every answer
  const storeEvents = shop.log.map((line) => JSON.parse(line).event).filter(Boolean);
  assert.deepEqual(storeEvents, ['store-down', 'store-up']);
});

it('logs once that the store does not accept writes, although it still answers reads', async (t) => {
  const memory = memoryBackend();
  let full = false;
  const compareAndSet: typeof memory.compareAndSet = (...args) =>
    full ? Promise.reject(new Error('full')) : memory.compareAndSet(...args);
  const shop = await startShop({ ...memory, compareAndSet });
  t.after(shop.close);
  const visitor = shop.visitor();
  await visitor.get('/');
  for (full of [true, false])
    for (let n = 0; n < 3; n++) assert.equal((await visitor.get('/')).status, full ? 503 : 200);
  const events = shop.log.map((line) => JSON.parse(line).event);
  assert.deepEqual(
    events.filter((event) => /^store-/.test(event)),
    ['store-down', 'store-up'],
  );
});

it('logs that the store is back after an answer in time, not after a late one', async (t) => {
  const memory = memoryBackend();
  let waiting: PromiseWithResolvers<void>[] | undefined;
  const get: typeof memory.get = async (key) => {
    const turn = Promise.withResolvers<void>();
    if (waiting?.push(turn)) await turn.promise;
    return memory.get(key);
  };
  const shop = await startShop({ ...memory, get }, { answerWithinMs: 1000 });
  t.after(shop.close);
  const visitor = shop.visitor();
  await visitor.get('/');
  const storeEvents = () => shop.log.map((line) => JSON.parse(line).event).filter(Boolean);

  waiting = [];
  const tooLate = await Promise.all([visitor.get('/'), visitor.get('/')]);
  assert.deepEqual(
    [tooLate.map(({ status }) => status), storeEvents()],
    [[503, 503], ['store-down']],
  );
  const [late, broken] = waiting;
  late?.resolve();
  await sleep(20);
  assert.deepEqual(storeEvents(), ['store-down']);

  // After its late answer, the next one may take the full time.
  const slow = visitor.get('/');
  await until(async () => waiting?.length === 3, 'asked again');
  await sleep(200);
  waiting[2]?.resolve();
  assert.equal((await slow).status, 200);
  broken?.reject(new Error('gone'));
  await sleep(20);
  assert.deepEqual(storeEvents(), ['store-down', 'store-up']);
});

it('logs and counts 499 for a client that left before its response, and 200 for one that stayed', async (t) => {
  const memory = memoryBackend();
  const asked = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const get: typeof memory.get = async (key) => {
    asked.resolve();
    await goOn.promise;
    return memory.get(key);
  };
  const shop = await startShop({ ...memory, get });
  t.after(shop.close);
  const visitor = shop.visitor();
  await visitor.get('/');
  const socket = connect(shop.port, '127.0.0.1');
  socket.write(`GET /cart HTTP/1.1\r\nHost: shop\r\nCookie: ${visitor.cookie}\r\n\r\n`);
  await asked.promise;
  socket.resetAndDestroy();
  const lines = () => shop.log.map((line) => JSON.parse(line));
  const logged = async () => lines().some(({ path }) => path === '/cart');
  await until(logged, 'it is logged without a response');
  goOn.resolve();
  await visitor.get('/cart');
  await until(async () => lines().filter(({ path }) => path === '/cart').length > 1, 'both');
  const requests = lines().filter(({ path }) => path === '/cart');
  assert.deepEqual(
    requests.map(({ status, aborted }) => [status, aborted]),
    [
      [499, true],
      [200, undefined],
    ],
  );
  const text = await register.metrics();
  for (const status of [499, 200])
    assert.match(
      text,
      new RegExp(`seconds_count\\{method="GET",route="[^"]+",status="${status}"\\} 1`),
    );
});

it('counts requests, session events, conflicts and round trips for Prometheus', async (t) => {
  const memory = memoryBackend();
  const odd: (() => Promise<boolean>)[] = [];
  const compareAndSet: typeof memory.compareAndSet = (...args) =>
    odd.shift()?.() ?? memory.compareAndSet(...args);
  const shop = await startShop({ ...memory, compareAndSet });
  t.after(shop.close);
  const visitor = shop.visitor();
  await visitor.get('/');
  odd.push(async () => false);
  await visitor.get('/');
  odd.push(() => Promise.reject(new Error('gone')));
  await visitor.post('/cart/lines', { json: { sku: 'bowler-hat' } });
  await visitor.post('/login', { json: ADA });
  await visitor.get('/nowhere/at/all?password=x');
  await visitor.post('/logout');
  const counted = async () => {
    const text = await register.metrics();
    return [
      'cloakroom_request_seconds_count{method="GET",route="/",status="200"} 2',
      'cloakroom_request_seconds_count{method="GET",route="none",status="404"} 1',
      'cloakroom_session_events_total{event="created"} 1',
      'cloakroom_session_events_total{event="renewed"} 1',
      'cloakroom_session_events_total{event="ended"} 1',
      'cloakroom_session_events_total{event="conflict"} 1',
      'cloakroom_session_events_total{event="store-down"} 1',
      'cloakroom_store_seconds_count{of="session",operation="compareAndSet",outcome="ok"}',
      'cloakroom_store_seconds_count{of="session",operation="compareAndSet",outcome="refused"} 1',
      'cloakroom_store_seconds_count{of="session",operation="compareAndSet",outcome="failed"} 1',
    ].every((line) => text.includes(line));
  };
  await until(counted, 'counted');
});
