// What happens in the app that the tutorials build, on today's packages. If one of these tests
// fails, express-session has changed and the README's table must change, too.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { RedisStore } from 'connect-redis';
import { createClient } from 'redis';
import { httpClient } from '../test-support/http-client.ts';
import { type Listening, listen } from '../test-support/listen.ts';
import { type RedisServer, startRedis } from '../test-support/redis.ts';
import { tutorialApp } from '../test-support/tutorial-app.ts';

let redis: RedisServer;
let site: Listening;
let client: ReturnType<typeof createClient>;
const slow = { arrived: Promise.withResolvers<void>(), goOn: Promise.withResolvers<void>() };

before(async () => {
  redis = await startRedis();
  client = createClient({ url: redis.url });
  client.on('error', () => {});
  await client.connect();
  site = await listen(tutorial({ secure: false }));
});
after(async () => {
  await site.close();
  client.destroy();
  await redis.stop();
});

function tutorial(cookie: { secure: boolean }) {
  const pause = () => {
    slow.arrived.resolve();
    return slow.goOn.promise;
  };
  return tutorialApp(new RedisStore({ client }), pause, cookie);
}

it('the tutorial loses many of 200 changes made at once, though each was answered with 200', async () => {
  const visitor = httpClient(site.origin);
  await visitor.post('/add');
  const responses = await Promise.all(Array.from({ length: 200 }, () => visitor.post('/add')));
  assert.ok(responses.every(({ status }) => status === 200));
  const { items } = (await visitor.get('/')).json;
  assert.ok(items < 195, `${items} of 201 were stored`);
});

it('the tutorial logs a user back in when a slow request ends after log-out', async () => {
  const visitor = httpClient(site.origin);
  await visitor.post('/add');
  await visitor.post('/login');
  const write = visitor.post('/slow-add');
  await slow.arrived.promise;
  await httpClient(site.origin, visitor.cookie).post('/logout');
  slow.goOn.resolve();
  await write;
  assert.equal((await visitor.get('/')).json.user, 'ada');
});

it('the tutorial keeps the session id at log-in', async () => {
  const visitor = httpClient(site.origin);
  await visitor.post('/add');
  const planted = visitor.cookie;
  await visitor.post('/login');
  assert.equal((await httpClient(site.origin, planted).get('/')).json.user, 'ada');
});

it('the tutorial, behind a proxy it does not trust, logs in with 200 and sends no cookie', async (t) => {
  const secure = await listen(tutorial({ secure: true }));
  t.after(secure.close);
  const visitor = httpClient(secure.origin);
  const response = await visitor.post('/login', { headers: { 'x-forwarded-proto': 'https' } });
  assert.deepEqual([response.status, visitor.cookie], [200, undefined]);
});

it('the tutorial responds with 200 although the store refuses the write', async (t) => {
  const visitor = httpClient(site.origin);
  await visitor.post('/add');
  await redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '1');
  t.after(() => redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '0'));
  const response = await visitor.post('/add').catch(() => ({ status: 'cut off' }));
  assert.equal(response.status, 200);
  assert.equal((await visitor.get('/')).json.items, 1);
});

it('the tutorial stores the session id itself', async () => {
  const visitor = httpClient(site.origin);
  await visitor.post('/add');
  const id = /s:(.+)\./.exec(decodeURIComponent(visitor.cookie ?? ''))?.[1];
  assert.equal(await client.exists(`sess:${id}`), 1);
});
