import assert from 'node:assert/strict';
import { once } from 'node:events';
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { httpClient } from '../test-support/http-client.ts';
import { startRedis } from '../test-support/redis.ts';
import { run } from '../test-support/run.ts';
import { type AppServer, cheapPasswords, startServer } from '../test-support/start-server.ts';
import { ADA, GRACE } from '../test-support/start-shop.ts';
import { tempDatabase } from '../test-support/temp-dir.ts';
import { until } from '../test-support/until.ts';
import { type Context, HAT, tempFolder } from './run-drill.ts';
import { countLost, startVisitors } from './visitors.ts';

const root = new URL('../', import.meta.url).pathname;
const PRODUCTION = {
  NODE_ENV: 'production',
  SESSION_STORE: 'database',
  SESSION_SECRET: 'f3Xw9Lq2Vb7Nc5Zk8Hs4Jd6Gt1Ry0PmU',
  TRUST_PROXY: 'loopback',
  DEMO_ACCOUNTS: 'on',
};
const secure = { headers: { 'x-forwarded-proto': 'https' } };

export async function rotateSecret({ step, use }: Context): Promise<void> {
  const redis = use(await startRedis());
  const database = use(await tempDatabase());
  const instances: AppServer[] = [];
  use({ stop: () => Promise.all(instances.map((instance) => instance.stop())) });
  const user = { cookie: '' };
  const namesOf = (visitor: { cookie: string }) =>
    Promise.all(
      instances.map(async ({ origin }) => {
        const client = httpClient(origin, visitor.cookie);
        const { json } = await client.get('/');
        visitor.cookie = client.cookie ?? '';
        return json.user?.name;
      }),
    );
  const start = (secret: string) => {
    const stores = { SESSION_STORE: 'redis', REDIS_URL: redis.url, DATABASE_URL: database.url };
    return startServer({ ...stores, SESSION_SECRET: secret });
  };
  const restart = async (secret: string) => {
    for (const n of [0, 1]) {
      await instances[n]?.stop();
      instances[n] = await start(secret);
      assert.deepEqual(await namesOf(user), ['Ada', 'Ada'], secret);
    }
  };
  // The first instance is not needed before its restart.
  instances[1] = await start('old');
  const logIn = async (json: object) => {
    const client = httpClient(instances[1]?.origin ?? '');
    assert.equal((await client.post('/login', { json })).status, 200);
    return client.cookie ?? '';
  };
  const absent = await logIn(GRACE);
  const first = await logIn(ADA);
  user.cookie = first;
  await step(
    'Restart one instance, then the other, with `old,new`. Throughout, users stay logged in on both instances.',
    () => restart('old,new'),
  );
  await step(
    "Restart them with `new,old`. Throughout, users stay logged in on both. Each user's browser gets a cookie that is signed with the new secret.",
    async () => {
      assert.equal(user.cookie, first);
      await restart('new,old');
      assert.notEqual(user.cookie, first);
    },
  );
  await step(
    'Restart them with `new`. Throughout, users stay logged in on both. A browser that has not sent a request since the second step has to log in again. After the 12 hours, its session has ended anyway.',
    async () => {
      await restart('new');
      assert.deepEqual(await namesOf({ cookie: absent }), [undefined, undefined]);
    },
  );
}

export async function rollBack({ step, use }: Context): Promise<void> {
  const copy = use(await tempFolder());
  for (const name of ['app', 'config', 'views', 'public', 'package.json'])
    cpSync(join(root, name), join(copy.path, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(copy.path, 'node_modules'));
  const file = 'app/shop-session.ts';
  const ours = readFileSync(join(root, file), 'utf8');
  let installed = 0;
  /** Installs a version whose sessions have this field. Its value is the number of the installation. */
  const install = (field: string) => {
    installed += 1;
    const code = ours.replace('extend({', `extend({ ${field}: z.int().default(${installed}),`);
    assert.notEqual(code, ours);
    writeFileSync(join(copy.path, file), code);
  };
  install('dropped');
  const redis = use(await startRedis());
  const env = { SESSION_STORE: 'redis', REDIS_URL: redis.url, WEB_CONCURRENCY: '2' };
  const shop = use(await startServer(env, copy.path));
  const user = httpClient(shop.origin);
  assert.equal((await user.post('/login', { json: ADA })).status, 200);
  const visitors = use(startVisitors(shop.origin, 200));
  const { responses, acknowledged } = visitors;
  // Some visitors meet only the old version, some both, and some only the new one.
  const sell = async () => {
    const before = responses.length;
    await until(async () => responses.length > before + 60, 'visitors go on');
  };
  await sell();
  const roll = async (field: string) => {
    const from = shop.output().length;
    install(field);
    shop.kill('SIGHUP');
    const isOver = async () => shop.output().includes('All workers were replaced', from);
    await until(isOver, `rolled to the version with ${field}`);
    await sell();
    assert.deepEqual(new Set(responses.map(({ status }) => status)), new Set([200]));
  };
  await step(
    'Install the new version, which adds one session field and drops another, and send SIGHUP (`systemctl reload`). No request fails.',
    () => roll('added'),
  );
  await step(
    'Install the previous version again, and send SIGHUP. No request fails, although the newer version has written sessions.',
    () => roll('dropped'),
  );
  await step('Each cart holds all that was added to it, and users are logged in.', async () => {
    await visitors.stop();
    assert.equal(acknowledged.size, 20, 'visitors got new sessions');
    assert.equal(await countLost(shop.origin, acknowledged), 0, 'adds were lost');
    assert.equal((await user.get('/')).json.user.name, 'Ada');
    assert.doesNotMatch(shop.output(), /do not fit the fields/);
  });
  await step('Each version keeps the field that only the other version knows.', async () => {
    const keys = (await redis.cli('KEYS', 'sess:*')).split('\n');
    const texts = await Promise.all(keys.map((key) => redis.cli('GET', key)));
    const carts = texts.map((text) => JSON.parse(text)).filter(({ cart }) => cart);
    assert.equal(carts.length, 20);
    for (const { dropped, added } of carts)
      assert.deepEqual({ dropped, added }, { dropped: 1, added: 2 });
  });
}

export async function jumpInTime({ step, use }: Context): Promise<void> {
  const dir = use(await tempFolder());
  const file = join(dir.path, 'ahead');
  const preload = import.meta.resolve('../test-support/clock-from-file.ts');
  writeFileSync(file, '0');
  const redis = use(await startRedis());
  const shop = use(
    await startServer({
      SESSION_STORE: 'redis',
      REDIS_URL: redis.url,
      CLOCK_AHEAD: file,
      NODE_OPTIONS: `${cheapPasswords.NODE_OPTIONS} --import=${preload}`,
    }),
  );
  const begin = async () => {
    const [guest, user] = [httpClient(shop.origin), httpClient(shop.origin)];
    assert.equal((await user.post('/login', { json: ADA })).status, 200);
    await user.post('/cart/clear');
    for (const client of [guest, user])
      assert.equal((await client.post('/cart/lines', HAT)).status, 200);
    return { guest, user };
  };
  const set = (hours: number) => writeFileSync(file, `${hours * 3_600_000}`);
  const early = await begin();
  await step(
    'The clock jumps 1 hour ahead. All sessions seem to have been idle for 30 min: guests lose their carts, and users have to log in again. No request fails.',
    async ([hours = 0]) => {
      set(hours);
      assert.equal((await early.guest.get('/cart')).json.count, 0);
      assert.equal((await early.user.get('/')).json.user, null);
      assert.equal((await early.user.post('/login', { json: ADA })).status, 200);
    },
  );
  await step('Users still have their carts.', async () => {
    assert.equal((await early.user.get('/cart')).json.count, 1);
  });
  const { guest, user } = await begin();
  await step(
    'The clock is corrected: it goes 1 hour back. Sessions that began in the meantime continue, for up to 13 hours instead of 12.',
    async ([, most = 0]) => {
      set(0);
      assert.equal((await guest.get('/cart')).json.count, 1);
      assert.equal((await user.get('/')).json.user?.name, 'Ada');
      for (const client of [guest, user])
        assert.equal((await client.post('/cart/lines', HAT)).status, 200);
      const { absoluteSecondsLeft } = (await guest.get('/session')).json.clocks;
      assert.ok(absoluteSecondsLeft > (most - 0.1) * 3600, `${absoluteSecondsLeft} s`);
    },
  );
}

export async function fillDisk({ step, slowness, use }: Context): Promise<void> {
  const database = use(await tempDatabase());
  const logFile = `${database.url.slice('sqlite:'.length)}.log`;
  const log = () => readFileSync(logFile, 'utf8');
  const env = { ...PRODUCTION, DATABASE_URL: database.url };
  const shop = use(await startServer(env, root, `exec "$0" app/server.ts >> ${logFile}`));
  const user = httpClient(shop.origin);
  assert.equal((await user.post('/login', { ...secure, json: ADA })).status, 200);
  assert.equal((await user.post('/cart/lines', { ...secure, ...HAT })).status, 200);
  const workers = () =>
    [...log().matchAll(/"pid":(\d+).*Cloakroom is open/g)].map(([, pid]) => pid);
  await until(async () => workers().length === 1, 'the log names the worker');
  // There is no small disk. Instead, the system refuses the same writes.
  const setRoom = async (bytes: number | 'unlimited') => {
    for (const pid of [shop.pid, ...workers()])
      await run('prlimit', ['--pid', `${pid}`, `--fsize=${bytes}:unlimited`]);
  };
  await step(
    'The database and the log can no longer grow. Each change gets a 503 with `Retry-After: 2`.',
    async ([status]) => {
      await setRoom(1);
      for (let n = 0; n < 3; n++) {
        const { headers, ...refused } = await user.post('/checkout', secure);
        assert.deepEqual([refused.status, headers.get('retry-after')], [status, '2']);
      }
      assert.equal((await httpClient(shop.origin).get('/', secure)).status, status);
    },
  );
  const size = log().length;
  await step('Pages that only read still return 200.', async ([ok]) => {
    // The shop writes its log ten times a second. Each of these writes fails now.
    for (let n = 0; n < 5; n++) {
      for (const path of ['/cart', '/orders', '/livez'])
        assert.equal((await user.get(path, secure)).status, ok, path);
      await sleep(100);
    }
  });
  await step(
    '`/readyz` responds with 503: `The database does not accept writes.`',
    async ([status]) => {
      const unready = await user.get('/readyz');
      assert.deepEqual(
        [unready.status, unready.json.errorMessage],
        [status, 'The database does not accept writes.'],
      );
    },
  );
  await step(
    'Make room, and leave the shop alone. Changes work again within 1 s, and nothing was half done.',
    async ([seconds = 0]) => {
      assert.equal(log().length, size, 'the log has grown');
      await setRoom('unlimited');
      const isPlaced = async () => (await user.post('/checkout', secure)).status === 201;
      await until(isPlaced, 'an order', seconds * 1000 * slowness);
      assert.equal((await user.get('/orders', secure)).json.orders.length, 1);
      assert.equal((await user.get('/cart', secure)).json.count, 0);
    },
  );
  await step(
    'The log continues, and includes the lines written while the disk was full. No worker was replaced.',
    async () => {
      const kept = () => log().slice(size).split('"status":503').length - 1;
      await until(async () => kept() >= 4, 'the lines of the four refusals');
      assert.doesNotMatch(log(), /Unexpected error|A worker died/);
      assert.equal(workers().length, 1, 'a worker was replaced');
      assert.ok(process.kill(Number(workers()[0]), 0));
    },
  );
}

export async function useUpDescriptors({ step, slowness, use }: Context): Promise<void> {
  const database = use(await tempDatabase());
  const env = { ...PRODUCTION, DATABASE_URL: database.url };
  const FILES = 100;
  const shop = use(await startServer(env, root, `ulimit -n ${FILES}; exec "$0" app/server.ts`));
  const connection = async () => {
    const socket = connect(shop.port, '127.0.0.1').on('error', () => {});
    await new Promise((resolve) => socket.once('connect', resolve));
    return socket;
  };
  const ask = async (socket: Socket) => {
    socket.write('GET /cart HTTP/1.1\r\nHost: shop\r\nX-Forwarded-Proto: https\r\n\r\n');
    const signal = AbortSignal.timeout(10_000);
    // A connection that is closed brings no data.
    const [response] = await Promise.race([
      once(socket, 'data', { signal }),
      once(socket, 'close'),
    ]);
    assert.match(String(response), /^HTTP\/1.1 200/);
  };
  const kept = await connection();
  await ask(kept);
  const sockets: Socket[] = [];
  use({
    stop: async () => {
      for (const socket of [kept, ...sockets]) socket.destroy();
    },
  });
  await step(
    'The limit is 100 open files for a process, and clients open 200 connections. The process closes the connections that do not fit, within 1 s.',
    async ([files, connections = 0, seconds = 0]) => {
      assert.equal(files, FILES);
      for (let n = 0; n < connections; n++) sockets.push(await connection());
      const open = () => sockets.filter(({ destroyed }) => !destroyed).length;
      for (const socket of sockets) socket.resume();
      await until(async () => open() <= FILES / 2, 'closed', seconds * 1000 * slowness);
      assert.ok(open() > FILES / 3, `it has closed all but ${open()}`);
    },
  );
  await step('The log says `Too many connections`.', async () => {
    await until(async () => shop.output().includes('Too many connections'), 'the log');
  });
  await step('Connections that were open before still get responses.', () => ask(kept));
  await step('When connections end, the shop takes new ones within 1 s.', async ([seconds = 0]) => {
    for (const socket of sockets) socket.destroy();
    // Not fetch, which may have an open connection.
    const works = async () => {
      const socket = await connection();
      sockets.push(socket);
      await ask(socket);
      return true;
    };
    await until(works, 'a new connection', seconds * 1000 * slowness);
  });
}
