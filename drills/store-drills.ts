import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { httpClient } from '../test-support/http-client.ts';
import { postgresPath, startPostgres } from '../test-support/postgres.ts';
import { startRedis, startRedisSentinel } from '../test-support/redis.ts';
import { run } from '../test-support/run.ts';
import { startServer } from '../test-support/start-server.ts';
import { ADA } from '../test-support/start-shop.ts';
import { tempDatabase } from '../test-support/temp-dir.ts';
import { until } from '../test-support/until.ts';
import { type Context, HAT, tempFolder } from './run-drill.ts';
import { countLost, startVisitors } from './visitors.ts';

const root = new URL('../', import.meta.url).pathname;

/** Visitors fill their carts in a shop whose Redis fails. */
async function sellOn(url: string, { slowness, use }: Context) {
  const shop = use(await startServer({ SESSION_STORE: 'redis', REDIS_URL: url }));
  const probe = httpClient(shop.origin);
  const sells = async () => (await httpClient(shop.origin).post('/cart/lines', HAT)).status === 200;
  await until(sells, 'the shop sells');
  const visitors = use(startVisitors(shop.origin, 50));
  const { responses, acknowledged } = visitors;
  await until(async () => responses.length > 100, 'the carts have something to lose');
  return {
    probe,
    assertRefused: async (status = 0, seconds = 0) => {
      const before = acknowledged.size;
      const refused = () => responses.filter((response) => response.status !== 200);
      await until(
        async () => refused().length >= before,
        `a refusal for each of ${before} visitors`,
      );
      assert.deepEqual(new Set(refused().map((response) => response.status)), new Set([status]));
      assert.equal((await probe.get('/')).headers.get('retry-after'), '2');
      const slowest = Math.max(...refused().map(({ ms }) => ms));
      assert.ok(slowest < seconds * 1000 * slowness, `the slowest took ${Math.round(slowest)} ms`);
    },
    sellsWithin: (seconds = 0) => until(sells, 'the shop sells', seconds * 1000 * slowness),
    assertNothingLost: async () => {
      await until(async () => !visitors.wereRefusedWithin(500), 'nobody is refused');
      await visitors.stop();
      assert.equal(await countLost(shop.origin, acknowledged), 0, 'adds were lost');
      assert.deepEqual(new Set(responses.map(({ status }) => status)), new Set([200, 503]));
    },
  };
}

const appendOnly = ['--appendonly', 'yes', '--appendfsync', 'everysec'];

export async function restartRedis(context: Context): Promise<void> {
  const { step, use } = context;
  const redis = use(await startRedis({ args: appendOnly }));
  const { probe, assertRefused, sellsWithin, assertNothingLost } = await sellOn(redis.url, context);
  await step(
    'Redis is killed. Pages with a session return 503 within 2 s, with `Retry-After: 2`.',
    async ([status, seconds]) => {
      await redis.kill();
      await assertRefused(status, seconds);
    },
  );
  await step(
    '`/readyz` responds with 503: `The session store does not answer.` `/livez` and files still return 200.',
    async ([unready, ok]) => {
      const { status, json } = await probe.get('/readyz');
      assert.deepEqual(
        [status, json.errorMessage],
        [unready, 'The session store does not answer.'],
      );
      for (const path of ['/livez', '/assets/cloakroom.css'])
        assert.equal((await probe.get(path)).status, ok);
    },
  );
  await step(
    'Start Redis, and leave the shop alone. It sells again within 1 s.',
    async ([seconds]) => {
      await redis.restart();
      await sellsWithin(seconds);
    },
  );
  await step('With `appendonly yes`, each cart holds all that was added to it.', assertNothingLost);
}

export async function failOver(context: Context): Promise<void> {
  const { step, use } = context;
  const sentinel = use(await startRedisSentinel({ silenceMs: 1000 }));
  const { assertRefused, sellsWithin, assertNothingLost } = await sellOn(sentinel.url, context);
  await step(
    'The master is killed. Pages with a session return 503 within 2 s, with `Retry-After: 2`.',
    async ([status, seconds]) => {
      await sentinel.master.kill();
      await assertRefused(status, seconds);
    },
  );
  await step(
    'Leave the shop alone. The sentinels make the replica the master, and the shop sells again within 10 s.',
    async ([seconds]) => {
      await sellsWithin(seconds);
      assert.match(await sentinel.replica.cli('ROLE'), /^master/);
    },
  );
  await step('Each cart holds all that was added to it.', assertNothingLost);
}

export async function restoreRedis({ step, use }: Context): Promise<void> {
  const redis = use(await startRedis({ args: appendOnly }));
  const shop = use(await startServer({ SESSION_STORE: 'redis', REDIS_URL: redis.url }));
  const visitor = () => httpClient(shop.origin);
  const [guest, user, leaver] = [visitor(), visitor(), visitor()];
  await until(async () => (await guest.post('/cart/lines', HAT)).status === 200, 'it sells');
  await user.post('/login', { json: ADA });
  await leaver.post('/login', { json: ADA });
  const [, dir = ''] = (await redis.cli('CONFIG', 'GET', 'dir')).split('\n');
  const [live, copy] = [join(dir, 'appendonlydir'), join(dir, 'copy')];
  const cookie = leaver.cookie ?? '';
  const sessions = async () => (await redis.cli('KEYS', 'sess:*')).split('\n').toSorted();
  let copied: string[] = [];
  await step(
    'While Redis runs, forbid rewrites: `CONFIG SET auto-aof-rewrite-percentage 0`. When `INFO persistence` says `aof_rewrite_in_progress:0`, copy the folder `appendonlydir`. Then allow rewrites again, with 100 in place of 0.',
    async () => {
      const allowRewrites = (percentage: string) =>
        redis.cli('CONFIG', 'SET', 'auto-aof-rewrite-percentage', percentage);
      await allowRewrites('0');
      const isIdle = async () =>
        (await redis.cli('INFO', 'persistence')).includes('aof_rewrite_in_progress:0');
      await until(isIdle, 'no rewrite');
      cpSync(live, copy, { recursive: true });
      copied = await sessions();
      await allowRewrites('100');
    },
  );
  await step(
    'If the data is lost, stop Redis, replace the folder with the copy, and start Redis. The shop keeps running.',
    async () => {
      await guest.post('/cart/lines', HAT);
      await leaver.post('/logout');
      await redis.kill();
      rmSync(live, { recursive: true });
      cpSync(copy, live, { recursive: true });
      await redis.restart();
      await until(async () => (await guest.get('/readyz')).status === 200, 'ready');
      assert.deepEqual(await sessions(), copied, 'not the sessions of the copy');
    },
  );
  await step(
    'The carts of guests are as they were when the copy was made, and users are logged in.',
    async () => {
      assert.equal((await guest.get('/cart')).json.count, 1);
      assert.equal((await user.get('/')).json.user.name, 'Ada');
    },
  );
  await step('A user who has logged out since the copy is still logged out.', async () => {
    assert.equal((await httpClient(shop.origin, cookie).get('/')).json.user, null);
  });
}

const IN_DATABASE = { SESSION_STORE: 'database', SESSION_SECRET: 'the same after the restart' };

const BUYER = { email: 'buyer@example.com', name: 'Buyer', password: 'long-enough-to-register' };

/** A shop with an account that has one order, and one hat in its cart. */
async function sellOnce(url: string) {
  const shop = await startServer({ ...IN_DATABASE, DATABASE_URL: url });
  const user = httpClient(shop.origin);
  const add = async () => assert.equal((await user.post('/cart/lines', HAT)).status, 200);
  const order = async () => assert.equal((await user.post('/checkout')).status, 201);
  assert.equal((await user.post('/register', { json: BUYER })).status, 201);
  await add();
  await order();
  await add();
  return {
    shop,
    cookie: user.cookie ?? '',
    /** Orders what is in the cart, and logs out. */
    goOn: async () => {
      await order();
      assert.equal((await user.post('/logout')).status, 200);
    },
  };
}

/** Checks that all is as it was before `goOn`, except that nobody is logged in. */
async function assertRestored(url: string, cookie: string): Promise<void> {
  const shop = await startServer({ ...IN_DATABASE, DATABASE_URL: url });
  try {
    const user = httpClient(shop.origin, cookie);
    assert.equal((await user.get('/readyz')).status, 200);
    assert.equal((await user.get('/')).json.user, null, 'the session is back');
    assert.equal((await user.post('/login', { json: BUYER })).status, 200, 'the account');
    assert.equal((await user.get('/cart')).json.count, 1, 'the cart');
    assert.equal((await user.get('/orders')).json.orders.length, 1, 'the orders');
  } finally {
    await shop.stop();
  }
}

const RESTORED =
  'Start the shop. Accounts, carts and orders are as they were at the backup, and users have to log in again.';

export async function restoreSqlite({ step, use }: Context): Promise<void> {
  const database = use(await tempDatabase());
  const path = database.url.slice('sqlite:'.length);
  const { shop, cookie, goOn } = await sellOnce(database.url);
  use(shop);
  await step(
    'Copy the database while the shop runs: `npm run backup -- FILE`. The copy holds no sessions.',
    async () => {
      await run('env', [
        ...[`DATABASE_URL=${database.url}`, process.execPath],
        ...[`${root}app/storage/backup-cli.ts`, `${path}.backup`],
      ]);
      const sessionsIn = (file: string) => {
        using opened = new DatabaseSync(file, { readOnly: true });
        return opened.prepare("select key from records where key like 'sess:%'").all().length;
      };
      assert.ok(sessionsIn(path) > 0);
      assert.equal(sessionsIn(`${path}.backup`), 0, 'the copy holds sessions');
    },
  );
  await step(
    'If the data is lost, stop the shop, replace the database with the copy, and delete the files whose names end in `-wal` and `-shm`.',
    async () => {
      await goOn();
      await shop.stop();
      cpSync(`${path}.backup`, path);
      for (const end of ['-wal', '-shm']) rmSync(path + end, { force: true });
    },
  );
  await step(RESTORED, () => assertRestored(database.url, cookie));
}

export async function restorePostgres({ step, use }: Context): Promise<void> {
  const server = use(await startPostgres());
  const dir = use(await tempFolder());
  const file = join(dir.path, 'shop.dump');
  const restored = server.url.replace(/\w+$/, 'restored');
  const pg = (command: string, ...args: string[]) =>
    run(command, args, { env: { ...process.env, PATH: postgresPath } });
  const { shop, cookie, goOn } = await sellOnce(server.url);
  use(shop);
  await step('Copy the database while the shop runs: `pg_dump -Fc -f FILE URL`.', () =>
    pg('pg_dump', '-Fc', '-f', file, server.url),
  );
  await step(
    'If the data is lost, stop the shop, create an empty database, name it in `DATABASE_URL`, and fill it: `pg_restore -d URL FILE`.',
    async () => {
      await goOn();
      await shop.stop();
      await pg('psql', server.url, '-qc', 'create database restored');
      await pg('pg_restore', '-d', restored, file);
    },
  );
  const end = "delete from records where key like 'sess:%'";
  const query = (database: string, sql: string) => pg('psql', database, '-Atc', sql);
  const sessions = `select count(*) from records where key like 'sess:%' and key not like 'sess:moved:%'`;
  await step(
    `The sessions are back, too, even those that have ended since. End them all: \`${end}\`.`,
    async () => {
      assert.equal(Number(await query(server.url, sessions)), 0);
      assert.ok(Number(await query(restored, sessions)) > 0, 'the sessions are not back');
      await query(restored, end);
    },
  );
  await step(RESTORED, () => assertRestored(restored, cookie));
}
