import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import http from 'node:http';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { startChild } from '../test-support/child.ts';
import { freePort } from '../test-support/free-port.ts';
import { type ClientResponse, httpClient } from '../test-support/http-client.ts';
import {
  startRedis,
  startRedisCluster,
  startRedisSentinel,
  startTlsRedis,
} from '../test-support/redis.ts';
import { refuses } from '../test-support/refuses-connections.ts';
import { startServer, startTwoServers } from '../test-support/start-server.ts';
import { ADA, PAGE } from '../test-support/start-shop.ts';
import { tempDatabase, tempDir } from '../test-support/temp-dir.ts';
import { until } from '../test-support/until.ts';

let redis: Awaited<ReturnType<typeof startRedis>>;
before(async () => {
  redis = await startRedis();
});
after(() => redis.stop());

const stores = {
  Redis: startRedis,
  'Redis Cluster': startRedisCluster,
  'Redis Sentinel': startRedisSentinel,
};

for (const [name, startStore] of Object.entries(stores))
  describe(`two processes on one ${name}`, () => {
    it('keep all 200 simultaneous changes, and never revive a session', async (t) => {
      const store = await startStore();
      t.after(store.stop);
      const servers = await startTwoServers(store.url);
      for (const server of servers) t.after(server.stop);
      const [a, b] = servers.map(({ origin }) => httpClient(origin));
      assert.ok(a && b);
      const bothReady = async () =>
        (await a.get('/readyz')).status === 200 && (await b.get('/readyz')).status === 200;
      // A process listens only once it has its store.
      assert.ok(await bothReady());

      await a.get('/');
      b.cookie = a.cookie;
      const views = Array.from({ length: 200 }, (_, n) => (n % 2 ? a : b).get('/'));
      const responses = await Promise.all(views);
      assert.ok(responses.every(({ status }) => status === 200));
      assert.equal(new Set(responses.map(({ json }) => json.views)).size, 200);
      assert.equal((await b.get('/')).json.views, 202);

      for (let attempt = 0; attempt < 40; attempt++) {
        a.cookie = undefined;
        await a.get('/');
        const ended = a.cookie;
        b.cookie = ended;
        const write: Promise<ClientResponse> = b.post('/cart/lines', {
          json: { sku: 'bowler-hat' },
        });
        await new Promise((resolve) => setTimeout(resolve, attempt % 5));
        await until(async () => (await a.post('/logout')).status === 200, 'logged out');
        // 200: stored just before the log-out, or as the first item of a new session. 409: refused.
        // 503: on a busy machine, the store's answer may come too late.
        assert.ok([200, 409, 503].includes((await write).status));
        a.cookie = ended;
        let cart: ClientResponse | undefined;
        await until(async () => {
          cart = await a.get('/cart');
          return cart.status === 200;
        }, 'the cart is shown');
        assert.equal(cart?.json.count, 0, 'the session came back');
      }
    });
  });

it('two processes: a change on one is visible on the other when its redirect arrives', async (t) => {
  const servers = await startTwoServers(redis.url);
  for (const server of servers) t.after(server.stop);
  const [a, b] = servers.map(({ origin }) => httpClient(origin));
  assert.ok(a && b);
  for (let attempt = 0; attempt < 10; attempt++) {
    await a.get('/');
    b.cookie = a.cookie;
    const added: ClientResponse = await a.post('/cart/lines', {
      ...PAGE,
      form: { sku: 'bowler-hat' },
    });
    assert.equal(added.status, 303);
    assert.equal((await b.get('/cart')).json.count, attempt + 1);
  }
});

it('speaks TLS to Redis, and refuses a certificate that it cannot verify', async (t) => {
  const store = await startTlsRedis();
  t.after(store.stop);
  const env = { SESSION_STORE: 'redis', REDIS_URL: store.url };
  const trusting = await startServer({ ...env, NODE_EXTRA_CA_CERTS: store.caFile });
  t.after(trusting.stop);
  const client = httpClient(trusting.origin);
  await until(async () => (await client.get('/readyz')).status === 200, 'ready');
  await client.get('/');
  assert.equal((await client.get('/')).json.views, 2);

  const wary = await startServer({ ...env, NODE_EXTRA_CA_CERTS: '' });
  t.after(wary.stop);
  await until(async () => wary.output().includes('certificate'), 'the reason is logged');
  assert.equal((await httpClient(wary.origin).get('/')).status, 503);
});

it('refuses a bad environment at once, before it loads the app, naming every wrong variable', () => {
  const printLoaded = `import { registerHooks } from 'node:module';
    registerHooks({ load: (url, ...args) => (console.log(url), args[1](url, args[0])) });`;
  const hook = `--import=data:text/javascript,${encodeURIComponent(printLoaded)}`;
  const { status, stdout, stderr } = spawnSync(process.execPath, [hook, 'app/server.ts'], {
    cwd: new URL('..', import.meta.url),
    env: { NODE_ENV: 'production', PORT: 'x', SESSION_STORE: 'memory', WEB_CONCURRENCY: '0' },
    encoding: 'utf8',
  });
  assert.equal(status, 1);
  assert.match(stdout, /\/app\/process\/primary\.ts$/m);
  assert.doesNotMatch(stdout, /\/app\/(app|process\/worker)\.ts$|\/node_modules\/express\//m);
  for (const name of [
    'PORT',
    'DATABASE_URL',
    'SESSION_STORE',
    'SESSION_SECRET',
    'TRUST_PROXY',
    'WEB_CONCURRENCY',
  ])
    assert.match(stderr, new RegExp(`^ {2}${name} `, 'm'));
  assert.doesNotMatch(stderr, /at .*\.ts:/);
});

it('reads .env with a byte order mark, and refuses one that is not UTF-8', async () => {
  await using folder = await tempDir('env');
  const start = async (file: Buffer) => {
    await writeFile(join(folder.path, '.env'), file);
    const server = join(import.meta.dirname, 'server.ts');
    const env = { PORT: '1', HOST: 'set-already.invalid' };
    const options = { cwd: folder.path, env, encoding: 'utf8', timeout: 20_000 } as const;
    return spawnSync(process.execPath, [server], options);
  };
  const settings = 'NODE_ENV=none\nPORT=x\n';
  const { stderr } = await start(Buffer.from(`\uFEFF${settings}`));
  assert.match(stderr, /^Cloakroom cannot start:\n {2}NODE_ENV must be .*\n$/);
  const other = await start(Buffer.from(`\uFEFF${settings}`, 'utf16le'));
  assert.match(other.stderr, /^Cloakroom cannot start:\n {2}\.env cannot be read: .*\n$/);
  assert.deepEqual([other.status, other.stdout], [1, '']);
});

it('with --check, only checks the settings and compiles the code', async () => {
  await using dir = await tempDir('check');
  const code = join(dir.path, 'code');
  const check = (env: Record<string, string>) =>
    spawnSync(process.execPath, ['app/server.ts', '--check'], {
      cwd: new URL('..', import.meta.url),
      env: { ...env, NODE_COMPILE_CACHE: code, DATABASE_URL: `sqlite:${dir.path}/shop.db` },
      encoding: 'utf8',
    });
  const { stdout, stderr, status } = check({});
  assert.deepEqual([stdout, stderr, status], ['', '', 0]);
  assert.deepEqual(readdirSync(dir.path), ['code'], 'it opens no database');
  assert.equal(readdirSync(code).length, 2, 'one folder for the primary, one for the workers');
  const bad = check({ PORT: 'x' });
  assert.match(bad.stderr, /^Cloakroom cannot start:\n {2}PORT /);
  assert.equal(bad.status, 1);
});

it('npm start and npm run dev keep compiled code', () => {
  const { scripts } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  for (const script of [scripts.prestart, scripts.start, scripts.dev])
    assert.match(script, /\bnode --import \.\/app\/process\/compile-cache\.mjs /);
  const args = ['--import', './app/process/compile-cache.mjs', '--print'];
  const { stdout } = spawnSync(
    process.execPath,
    [...args, "require('node:module').getCompileCacheDir()"],
    {
      cwd: new URL('..', import.meta.url),
      env: {},
      encoding: 'utf8',
    },
  );
  assert.match(stdout, /\/node_modules\/\.cache\/compile\/v26\./);
});

it('says that the port is taken', async (t) => {
  const first = await startServer({});
  t.after(first.stop);
  const database = await tempDatabase();
  t.after(database.stop);
  const { status, stdout, stderr } = spawnSync(process.execPath, ['app/server.ts'], {
    cwd: new URL('..', import.meta.url),
    env: { PORT: String(first.port), DATABASE_URL: database.url },
    encoding: 'utf8',
  });
  assert.equal(status, 1);
  assert.match(stdout, /Cannot listen on http:\/\/127\.0\.0\.1:\d+/);
  assert.match(stderr, /Port \d+ is in use\. Try: PORT=3001 npm run dev/);
});

it('finishes requests under way at SIGTERM, then exits with 0', async () => {
  const server = await startServer({});
  const headers = { 'content-type': 'application/json', expect: '100-continue' };
  const login = http.request(`${server.origin}/login`, { method: 'POST', headers });
  await once(login, 'continue'); // under way: its body is missing
  const code = server.stop();
  await until(() => refuses(server.port), 'it closes');
  login.end(JSON.stringify(ADA));
  const [response] = await once(login, 'response');
  assert.equal(response.statusCode, 200);
  assert.equal(await code, 0);
});

it('shows the metrics of all workers on their own port, and on no other', async (t) => {
  const metricsPort = await freePort();
  const server = await startServer({
    NODE_ENV: 'production',
    SESSION_STORE: 'redis',
    REDIS_URL: redis.url,
    SESSION_SECRET: 'f3Xw9Lq2Vb7Nc5Zk8Hs4Jd6Gt1Ry0PmU',
    TRUST_PROXY: 'loopback',
    WEB_CONCURRENCY: '2',
    METRICS_PORT: String(metricsPort),
  });
  t.after(server.stop);
  const visitor = httpClient(server.origin);
  const https = { headers: { 'x-forwarded-proto': 'https' } };
  await until(async () => (await visitor.get('/readyz')).status === 200, 'ready');
  for (let view = 0; view < 5; view++) assert.equal((await visitor.get('/', https)).status, 200);
  const metrics = () => fetch(`http://127.0.0.1:${metricsPort}/metrics`).then((res) => res.text());
  const counted = async () =>
    (await metrics()).includes('_seconds_count{method="GET",route="/",status="200"} 5');
  await until(counted, 'five views counted');
  assert.equal((await visitor.get('/metrics', https)).status, 404);
  const elsewhere = fetch(`http://127.0.0.2:${metricsPort}/metrics`);
  await assert.rejects(elsewhere, 'it listens on 127.0.0.1 only');
});

it('opens without metrics when their port is taken, and says so', async (t) => {
  const first = await startServer({});
  t.after(first.stop);
  const server = await startServer({ METRICS_PORT: String(first.port) });
  t.after(server.stop);
  const isLogged = async () => server.output().includes('No metrics: cannot listen on port');
  await until(isLogged, 'says so');
  assert.equal((await httpClient(server.origin).get('/')).status, 200);
});

it('shows no demo accounts in production, and refuses to log in to them', async (t) => {
  const server = await startServer({
    NODE_ENV: 'production',
    WEB_CONCURRENCY: '1',
    REDIS_URL: redis.url,
    SESSION_SECRET: 'f3Xw9Lq2Vb7Nc5Zk8Hs4Jd6Gt1Ry0PmU',
    TRUST_PROXY: 'loopback',
  });
  t.after(server.stop);
  const visitor = httpClient(server.origin);
  const https = { 'x-forwarded-proto': 'https' };
  await until(async () => (await visitor.get('/readyz')).status === 200, 'ready');
  const page = await visitor.get('/login', { headers: { ...https, ...PAGE.headers } });
  assert.doesNotMatch(page.text, /analytical-engine|cloakroom\.test/);
  assert.equal((await visitor.post('/login', { json: ADA, headers: https })).status, 403);
});

it('npm start exits with 0 at SIGTERM, and leaves nothing running', async (t) => {
  const database = await tempDatabase();
  t.after(database.stop);
  const port = await freePort();
  const npm = await startChild('npm', ['start'], {
    cwd: join(import.meta.dirname, '..'),
    env: {
      NODE_ENV: 'production',
      REDIS_URL: redis.url,
      SESSION_SECRET: 'f3Xw9Lq2Vb7Nc5Zk8Hs4Jd6Gt1Ry0PmU',
      TRUST_PROXY: 'loopback',
      DATABASE_URL: database.url,
      PORT: String(port),
    },
    ready: /Cloakroom is open/,
  });
  assert.equal(await npm.stop(), 0);
  await assert.rejects(fetch(`http://127.0.0.1:${port}/livez`));
});
