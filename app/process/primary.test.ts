import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cp, readFile, symlink, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import { demoProducts } from '../../config/demo-data.ts';
import { httpClient } from '../../test-support/http-client.ts';
import { startNginx } from '../../test-support/nginx.ts';
import { startRedis } from '../../test-support/redis.ts';
import { refuses } from '../../test-support/refuses-connections.ts';
import { type AppServer, startServer } from '../../test-support/start-server.ts';
import { ADA } from '../../test-support/start-shop.ts';
import { tempDatabase, tempDir } from '../../test-support/temp-dir.ts';
import { until } from '../../test-support/until.ts';

const root = new URL('../..', import.meta.url).pathname;
const secure = { headers: { 'x-forwarded-proto': 'https' } };

const log = (server: AppServer) =>
  server
    .output()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
const logged = (server: AppServer, text: string) =>
  log(server).filter(({ msg }) => msg.startsWith(text));
const isRunning = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};
/**
 * Every worker that has ever listened, oldest first. Sorted by time, because log lines can arrive
 * in any order.
 */
const workers = (server: AppServer): number[] =>
  logged(server, 'Cloakroom is open')
    .toSorted((a, b) => Date.parse(a.time) - Date.parse(b.time))
    .map(({ pid }) => pid);
const running = (server: AppServer) => workers(server).filter(isRunning);

let redis: Awaited<ReturnType<typeof startRedis>>;
before(async () => {
  redis = await startRedis();
});
after(() => redis.stop());

/** Production with all its workers listening. */
async function startProduction(
  t: TestContext,
  size: number,
  cwd?: string,
  script?: string,
): Promise<AppServer> {
  const env = {
    NODE_ENV: 'production',
    REDIS_URL: redis.url,
    SESSION_SECRET: 'f3Xw9Lq2Vb7Nc5Zk8Hs4Jd6Gt1Ry0PmU',
    TRUST_PROXY: 'loopback',
    DEMO_ACCOUNTS: 'on',
    WEB_CONCURRENCY: `${size}`,
    NODE_COMPILE_CACHE_PORTABLE: '1', // the editable shops share it
  };
  const server = await startServer(env, cwd, script);
  // Redis knows better: a process whose parent was killed can stay in the process table for a long
  // time.
  const connections = async () => (await redis.cli('CLIENT', 'LIST')).split('\n').length - 1;
  t.after(async () => {
    await server.stop();
    try {
      await until(async () => (await connections()) === 0, 'no worker outlives its primary');
    } finally {
      for (const pid of running(server)) process.kill(pid, 'SIGKILL');
    }
  });
  await until(async () => workers(server).length === size, 'all workers listen', 60_000);
  await until(async () => (await connections()) === size, 'each worker has one connection');
  return server;
}

/** Stops the primary's clock: each worker seems to die at once, or after 5 s. */
const stoppedClock = (code: string) =>
  code.replaceAll(
    'performance.now()',
    `(process.getBuiltinModule('fs').existsSync('five-seconds-later') ? 5_000 : 0)`,
  );

/** A shop with two workers whose code the test can edit: before the start, by `edits`, and after it. */
async function startEditableShop(t: TestContext, edits: [string, (code: string) => string][] = []) {
  const copy = await tempDir('copy');
  t.after(() => copy[Symbol.asyncDispose]());
  for (const name of ['app', 'config', 'views', 'public', 'package.json'])
    await cp(join(root, name), join(copy.path, name), { recursive: true });
  await symlink(join(root, 'node_modules'), join(copy.path, 'node_modules'));
  const edit = async (file: string, change: (code: string) => string) => {
    const code = await readFile(join(root, file), 'utf8');
    const changed = change(code);
    await writeFile(join(copy.path, file), changed);
    return changed !== code;
  };
  for (const args of edits) assert.ok(await edit(...args), 'it still finds the line to edit');
  const server = await startProduction(t, 2, copy.path);
  return { server, edit, dir: copy.path };
}

it('five rolling restarts under load lose no request and no cart line', {
  timeout: 300_000,
}, async (t) => {
  const server = await startProduction(t, 2);
  // By default nginx ends a connection after 1,000 requests. fetch then fails the requests under
  // way; a browser would send them again.
  const nginx = await startNginx([server.port], {
    'keepalive_timeout 30s;': 'keepalive_timeout 30s; keepalive_requests 1000000;',
  });
  t.after(nginx.stop);
  const trusted = getCACertificates();
  setDefaultCACertificates([...trusted, await readFile(nginx.caFile, 'utf8')]);
  t.after(() => setDefaultCACertificates(trusted));
  const skus = demoProducts.map(({ sku }) => sku);

  const over = new AbortController();
  const responses = { GET: 0, POST: 0 };
  const failures: unknown[] = [];
  const attempt = async (method: 'GET' | 'POST', request: Promise<{ status: number }>) => {
    const outcome = await request.then(({ status }) => status, String);
    responses[method] += 1;
    if (outcome !== 200) failures.push([method, outcome]);
    await sleep(200);
    return outcome === 200;
  };
  const view = async () => {
    const visitor = httpClient(nginx.origin);
    while (!over.signal.aborted) await attempt('GET', visitor.get('/'));
  };
  // Two tabs fill a cart to 99 of each product, and then start another one.
  const fill = async () => {
    while (!over.signal.aborted) {
      const visitor = httpClient(nginx.origin);
      await visitor.get('/');
      let sent = 0;
      let acknowledged = 0;
      const tab = async () => {
        while (!over.signal.aborted && sent < 900) {
          const json = { sku: skus[sent++ % skus.length] };
          if (await attempt('POST', visitor.post('/cart/lines', { json }))) acknowledged += 1;
        }
      };
      await Promise.all([tab(), tab()]);
      assert.equal((await visitor.get('/cart')).json.count, acknowledged);
    }
  };
  t.after(() => over.abort());
  const load = Promise.all([
    ...Array.from({ length: 12 }, view),
    ...Array.from({ length: 6 }, fill),
  ]);

  const started = performance.now();
  for (let restart = 1; restart <= 5; restart++) {
    const from = server.output().length;
    server.kill('SIGHUP');
    const rolled = async () => server.output().slice(from).includes('All workers were replaced');
    await until(rolled, `restart ${restart}`, 100_000);
  }
  await until(async () => responses.GET > 300 && responses.POST > 300, 'enough load', 100_000);
  over.abort();
  await load;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  t.diagnostic(`${responses.GET} GET and ${responses.POST} POST in ${seconds} s`);
  // The last worker's line may come after the primary's.
  await until(async () => workers(server).length === 12, 'two workers from each restart');
  assert.deepEqual(failures, []);
});

it('SIGHUP loads the code now on disk, and another SIGHUP in the meantime makes it do so once more', async (t) => {
  const { server, edit, dir } = await startEditableShop(t);
  const livez = async () => (await httpClient(server.origin).get('/livez')).json.status;
  assert.equal(await livez(), 'ok');
  await edit('app/http/health-handlers.ts', (code) => code.replaceAll("'ok'", "'new'"));
  // The new workers wait for a file, so that the next signals come meanwhile.
  const wait = `const { existsSync } = process.getBuiltinModule('fs');
    while (!existsSync('may-start')) await new Promise((resolve) => setTimeout(resolve, 20));\n`;
  await edit('app/process/worker.ts', (code) => wait + code);
  server.kill('SIGHUP');
  await until(async () => logged(server, 'Replacing').length === 1, 'it begins');
  for (let again = 0; again < 3; again++) {
    server.kill('SIGHUP');
    await sleep(20);
  }
  await writeFile(join(dir, 'may-start'), '');
  await until(
    async () => logged(server, 'All workers were replaced').length === 2,
    'new workers',
    60_000,
  );
  // An old worker still has the connection from above, and the last one may log late.
  await until(
    async () =>
      workers(server).length === 6 && isDeepStrictEqual(running(server), workers(server).slice(-2)),
    'the last two run, and no other',
  );
  assert.equal(await livez(), 'new');
  assert.equal(logged(server, 'Replacing').length, 2);
});

it('the old workers stay when the new code does not start, or cannot be spawned, and the reason is logged', async (t) => {
  const deleteNode = (code: string) =>
    code.replace(
      'cluster.setupPrimary(',
      `if (process.getBuiltinModule('fs').existsSync('deleted')) process.execPath = '/no/node';\n$&`,
    );
  const shop = await startEditableShop(t, [['app/process/primary.ts', deleteNode]]);
  const { server, edit, dir } = shop;
  const failures = () => logged(server, 'A new worker did not start');
  await edit('app/app.ts', (code) => `throw new Error('bad code');\n${code}`);
  server.kill('SIGHUP');
  await until(async () => failures().length === 1, 'it is logged', 60_000);
  assert.match(server.output(), /bad code/);
  assert.equal(failures()[0].code, 1);
  await writeFile(join(dir, 'deleted'), '');
  server.kill('SIGHUP');
  await until(async () => failures().length === 2, 'it is logged');
  assert.match(failures()[1].err.message, /spawn \/no\/node ENOENT/);
  assert.equal((await httpClient(server.origin).get('/readyz')).status, 200);
  assert.equal(running(server).length, 2);
  assert.equal(workers(server).length, 2);
});

it('a killed worker is replaced, and the shop keeps serving', async (t) => {
  const { server, dir } = await startEditableShop(t, [['app/process/primary.ts', stoppedClock]]);
  const visitor = httpClient(server.origin);
  await visitor.get('/', secure);
  const killLatest = async () => {
    const listened = workers(server).length;
    process.kill(workers(server).at(-1) ?? assert.fail(), 'SIGKILL');
    await until(async () => workers(server).length > listened, 'it is replaced', 60_000);
  };
  await killLatest();
  await killLatest();
  await writeFile(join(dir, 'five-seconds-later'), '');
  await killLatest();
  assert.equal((await visitor.get('/', secure)).json.views, 2);
  assert.equal(running(server).length, 2);
  await until(async () => logged(server, 'A worker died').length === 3, 'each death is logged');
  const waits = logged(server, 'A worker died').map(({ signal, waitMs }) => [signal, waitMs]);
  // The third one had lived for 5 s.
  assert.deepEqual(waits, [
    ['SIGKILL', 100],
    ['SIGKILL', 200],
    ['SIGKILL', 0],
  ]);
});

it('while workers keep dying at once, the wait before each replacement doubles, until SIGHUP loads better code', async (t) => {
  const { server, edit } = await startEditableShop(t, [['app/process/primary.ts', stoppedClock]]);
  await edit('app/process/worker.ts', () => 'process.exit(7);');
  process.kill(workers(server)[0] ?? assert.fail(), 'SIGKILL');
  await until(async () => logged(server, 'A worker died').length >= 5, 'five deaths', 60_000);
  const deaths = logged(server, 'A worker died').slice(0, 5);
  for (const [n, { waitMs, time }] of deaths.entries()) {
    assert.equal(waitMs, 100 * 2 ** n);
    const next = deaths[n + 1]?.time;
    assert.ok(!next || Date.parse(next) - Date.parse(time) > waitMs - 5, `${time}, ${next}`);
  }
  assert.equal(deaths.at(-1)?.code, 7);
  assert.equal((await httpClient(server.origin).get('/readyz')).status, 200);

  await edit('app/process/worker.ts', (code) => code);
  server.kill('SIGHUP');
  // Another worker may have been starting, and is replaced with the others.
  const renewed = async () => {
    const [first, second] = workers(server);
    const now = running(server);
    return now.length === 2 && now.every((pid) => pid !== first && pid !== second);
  };
  await until(renewed, 'two new workers serve', 60_000);
});

it('at SIGTERM, the workers respond to requests under way and on idle connections, close those connections and exit with 0', async (t) => {
  // The workers linger for longer than this machine may pause. Without connections they end at once.
  const patient = (code: string) => code.replace('? 1000 : 0', '? 7000 : 0');
  const { server } = await startEditableShop(t, [['app/process/worker.ts', patient]]);
  const idle = connect(server.port, '127.0.0.1');
  const isToldToClose = async () => {
    idle.write('GET /livez HTTP/1.1\r\nHost: a.test\r\n\r\n');
    const [response] = await once(idle, 'data');
    return /^HTTP\/1\.1 200 .*^Connection: close/ims.test(String(response));
  };
  assert.equal(await isToldToClose(), false);
  const headers = { ...secure.headers, 'content-type': 'application/json' };
  const login = http.request(`${server.origin}/login`, {
    method: 'POST',
    headers: { ...headers, expect: '100-continue' },
  });
  await once(login, 'continue'); // under way: its body is missing
  const code = server.stop();
  await until(isToldToClose, 'the idle connection is told to close');
  await until(() => refuses(server.port), 'no worker takes a new one');
  login.end(JSON.stringify(ADA));
  const [response] = await once(login, 'response');
  assert.deepEqual([response.statusCode, response.headers.connection], [200, 'close']);
  assert.equal(await code, 0);
  assert.deepEqual(running(server), []);
});

it('the primary exits after SIGTERM even if a worker hangs', async (t) => {
  const hasty = (code: string) => code.replace('DRAIN_MS = 9_000', 'DRAIN_MS = 1_000');
  const { server } = await startEditableShop(t, [['app/process/primary.ts', hasty]]);
  process.kill(workers(server)[0] ?? assert.fail(), 'SIGSTOP');
  assert.equal(await server.stop(), 0);
  assert.deepEqual(running(server), []);
});

it('no worker outlives a killed primary', async (t) => {
  const server = await startProduction(t, 2);
  server.kill('SIGKILL'); // the end of each test checks the workers
  await until(async () => !isRunning(server.pid), 'it is gone');
});

it('production has a primary even for one worker, and says that a port is taken', async (t) => {
  const server = await startProduction(t, 1);
  assert.ok(!workers(server).includes(server.pid));
  const database = await tempDatabase();
  t.after(database.stop);
  const { status, stdout } = spawnSync(process.execPath, ['app/server.ts'], {
    cwd: root,
    env: {
      NODE_ENV: 'production',
      SESSION_SECRET: 'f3Xw9Lq2Vb7Nc5Zk8Hs4Jd6Gt1Ry0PmU',
      TRUST_PROXY: 'loopback',
      DATABASE_URL: database.url,
      REDIS_URL: redis.url, // without one, it would wait for 2 s
      PORT: `${server.port}`,
    },
    encoding: 'utf8',
    timeout: 50_000,
  });
  assert.equal(status, 1);
  assert.match(stdout, /Cannot listen on http:\/\/127\.0\.0\.1:\d+/);
});

it('a primary and one worker together stay below 200 MB under load, even at the first `npm start`', {
  skip: process.platform !== 'linux' && 'it reads /proc',
}, async (t) => {
  await using cache = await tempDir('compiled'); // empty
  const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const [, check] = scripts.prestart.split(' && ');
  const start = `${check} && ${scripts.start}`.replaceAll('node --', '"$0" --');
  const server = await startProduction(
    t,
    1,
    root,
    `export NODE_COMPILE_CACHE=${cache.path}; ${start}`,
  );
  const visitors = Array.from({ length: 16 }, () => httpClient(server.origin));
  for (let views = 0; views < 250; views++)
    await Promise.all(visitors.map((visitor) => visitor.get('/', secure)));
  const memory = [server.pid, ...workers(server)].map(async (pid) => {
    const pages = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
    const mb = (name: string) =>
      Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(pages)?.[1]) / 1024;
    return { own: mb('Anonymous'), program: mb('Rss') - mb('Anonymous') };
  });
  const [primary, worker] = await Promise.all(memory);
  assert.ok(primary && worker);
  // Both run the same program, so its pages are in memory once. (Pss would depend on what else runs.)
  const both = primary.own + worker.own + Math.max(primary.program, worker.program);
  t.diagnostic(JSON.stringify({ primary, worker, both }));
  assert.ok(primary.own > 10 && worker.own > 50 && both < 200, `${both} MB`);
});

it('development has one process, or workers with the same generated secret', async (t) => {
  const alone = await startServer({});
  t.after(alone.stop);
  const opened = (server: AppServer) => server.output().match(/Cloakroom is open.*/g) ?? [];
  assert.doesNotMatch(opened(alone).join(), /pid=|is open.*is open/); // a worker has its pid in each line

  const env = { SESSION_STORE: 'redis', REDIS_URL: redis.url, WEB_CONCURRENCY: '2' };
  const server = await startServer(env);
  t.after(server.stop);
  await until(async () => opened(server).length === 2, 'both listen');
  for (const line of opened(server)) assert.match(line, / pid=\d+$/);
  const visitor = httpClient(server.origin);
  await visitor.get('/');
  await Promise.all(Array.from({ length: 20 }, () => visitor.get('/')));
  assert.equal((await visitor.get('/')).json.views, 22);
});
