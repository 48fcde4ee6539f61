// What a request costs, in units that do not depend on the machine: exactly these Redis commands and renders,
// and at most these bytes. Do not raise a number without knowing why.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, it, mock } from 'node:test';
import ejs from 'ejs';
import { createClient } from 'redis';
import { redisBackend } from '../app/session/index.ts';
import { rateLimitStore, redisCounters } from '../app/storage/rate-limit-store.ts';
import type { RedisClient } from '../app/storage/redis-client.ts';
import { connectTo } from '../test-support/connect-to.ts';
import { type HttpClient, httpClient } from '../test-support/http-client.ts';
import { type Listening, listen } from '../test-support/listen.ts';
import { type RedisServer, startRedis } from '../test-support/redis.ts';
import { ADA, createShop, PAGE } from '../test-support/start-shop.ts';
import { until } from '../test-support/until.ts';

let server: RedisServer;
let redis: RedisClient;
let shop: Listening;
const monitor = { client: undefined as ReturnType<typeof createClient> | undefined, seen: [''] };
const compile = mock.method(ejs, 'compile');
/**
 * In development, each page is compiled every time it is shown. So are some of its parts, which do
 * not count.
 */
const renders = () =>
  compile.mock.calls.filter(({ arguments: [text] }) => text.startsWith('<!DOCTYPE html>')).length;

before(async () => {
  server = await startRedis();
  redis = connectTo(server.url);
  await until(() => redis.check().then(() => true), 'connected');
  const { app } = createShop(redisBackend(redis), {
    checks: { 'session store': redis.check },
    rateLimitStore: (name) => rateLimitStore(redisCounters(redis), name, 'a secret'),
    documents: redisBackend(redis, 'doc:'),
  });
  shop = await listen(app);
  monitor.client = createClient({ url: server.url });
  await monitor.client.connect();
  await monitor.client.monitor((line) => monitor.seen.push(line));
});
after(async () => {
  await shop.close();
  redis.close();
  monitor.client?.destroy();
  await server.stop();
});

/**
 * The commands that Redis has received so far, in order, without those sent by scripts and without
 * the pings of `endSilentConnections`.
 */
const commands = () =>
  monitor.seen.flatMap((line) => /\d\] "((?!ping)\w+)"/i.exec(line)?.[1]?.toUpperCase() ?? []);

/**
 * The commands that a request causes, including those after its response: a touch, or a rate-limit
 * count that is undone.
 */
async function commandsOf(request: () => Promise<unknown>): Promise<string[]> {
  // The app sends each command before it responds. So once Redis has answered a PING on the same
  // connection, it has received them all, and the monitor shows them before the next PING.
  const allSeen = async () => {
    await redis.check();
    const mark = randomUUID();
    await server.cli('PING', mark);
    await until(async () => monitor.seen.some((line) => line.includes(mark)), 'all is seen');
  };
  await allSeen();
  monitor.seen.length = 0;
  await request();
  await allSeen();
  return commands();
}

const look = (visitor: HttpClient) => visitor.get('/', PAGE);
const add = (visitor: HttpClient) =>
  visitor.post('/cart/lines', { ...PAGE, form: { sku: 'bowler-hat' } });
const [GET, EVAL] = ['GET', 'EVAL'];

const budgets: {
  what: string;
  before?: ((visitor: HttpClient) => Promise<unknown>)[];
  request: (visitor: HttpClient) => Promise<unknown>;
  commands: string[];
  renders: number;
}[] = [
  { what: 'a first view', request: look, commands: [EVAL], renders: 1 },
  { what: 'a returning view', before: [look], request: look, commands: [GET, EVAL], renders: 1 },
  {
    what: 'a view that shows the flash of a form',
    before: [look, add],
    request: look,
    commands: [GET, EVAL],
    renders: 1,
  },
  {
    what: 'a returning view as JSON',
    before: [look],
    request: (visitor) => visitor.get('/'),
    commands: [GET, EVAL],
    renders: 0,
  },
  {
    what: 'a view by a user',
    before: [(visitor) => visitor.post('/login', { json: ADA })],
    request: look,
    commands: [GET, GET, GET, EVAL], // the session; the account and the cart, in parallel; the view
    renders: 1,
  },
  { what: 'adding a line', before: [look], request: add, commands: [GET, EVAL], renders: 0 },
  {
    what: 'the cart after it, with its flash',
    before: [look, add],
    request: (visitor) => visitor.get('/cart', PAGE),
    commands: [GET, EVAL],
    renders: 1,
  },
  {
    what: 'a page that changes nothing but the idle clock',
    before: [look],
    request: (visitor) => visitor.get('/login', PAGE),
    commands: [GET, EVAL],
    renders: 1,
  },
  {
    what: 'a page for a visitor without a session',
    request: (visitor) => visitor.get('/login', PAGE),
    commands: [],
    renders: 1,
  },
  {
    what: 'a file',
    before: [look],
    request: (visitor) => visitor.get('/assets/cloakroom.css'),
    commands: [],
    renders: 0,
  },
  {
    what: '/livez',
    before: [look],
    request: (visitor) => visitor.get('/livez'),
    commands: [],
    renders: 0,
  },
  {
    what: '/readyz, apart from its PING,',
    before: [look],
    request: (visitor) => visitor.get('/readyz'),
    commands: [],
    renders: 0,
  },
  {
    what: 'a log-in',
    before: [look],
    request: (visitor) => visitor.post('/login', { json: ADA }),
    commands: [
      GET, // the session
      EVAL, // the limit of the address
      EVAL, // the limit of the account
      GET, // the account
      GET, // the last use of the account's other session
      EVAL, // the account lists the new session
      EVAL, // the new session
      EVAL, // a mark under the old id
      EVAL, // the old session ends
      GET, // the cart
      EVAL, // the limit of the account, undone
      EVAL, // the limit of the address, undone
    ],
    renders: 0,
  },
  {
    what: 'a log-out',
    before: [(visitor) => visitor.post('/login', { json: ADA })],
    request: (visitor) => visitor.post('/logout'),
    commands: [GET, GET, GET, EVAL, EVAL], // ends the session, then removes it from the account
    renders: 0,
  },
];

for (const { what, before: steps = [], request, commands: expected, renders: times } of budgets)
  it(`${what} costs ${expected.join(', ') || 'nothing'} in Redis and ${times} renders`, async () => {
    const visitor = httpClient(shop.origin);
    for (const step of steps) await step(visitor);
    compile.mock.resetCalls();
    assert.deepEqual(await commandsOf(() => request(visitor)), expected);
    assert.equal(renders(), times);
  });

it('pages, headers and sessions are small', async () => {
  const visitor = httpClient(shop.origin);
  await visitor.post('/login', { json: ADA });
  await add(visitor);
  const bytes: Record<string, number> = {};
  for (const path of ['/', '/cart', '/login', '/nowhere']) {
    const { text, headers } = await visitor.get(path, PAGE);
    bytes[path] = Buffer.byteLength(text);
    bytes.headers = [...headers].reduce((sum, [name, value]) => sum + `${name}${value}`.length, 0);
  }
  const keys = (await server.cli('KEYS', 'sess:*')).split('\n');
  const texts = await Promise.all(keys.map((key) => server.cli('GET', key)));
  bytes.session = Math.max(...texts.map((text) => Buffer.byteLength(text)));
  const most = {
    '/': 9400, // each product's form asks to stay in the shop
    '/cart': 5700,
    '/login': 5000, // with a button for each demo account
    '/nowhere': 3400,
    headers: 750,
    session: 300,
  };
  for (const [what, limit] of Object.entries(most))
    assert.ok((bytes[what] ?? Number.NaN) <= limit, `${what}: ${bytes[what]} bytes`);
});
