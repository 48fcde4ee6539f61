// Production without any other service: sessions, accounts, carts and orders in one SQLite file.
import assert from 'node:assert/strict';
import { statSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, it } from 'node:test';
import { sqliteBackend } from '../app/session/index.ts';
import { demoProducts } from '../config/demo-data.ts';
import { httpClient } from '../test-support/http-client.ts';
import { run } from '../test-support/run.ts';
import { type AppServer, startServer } from '../test-support/start-server.ts';
import { ADA, GRACE, startShop } from '../test-support/start-shop.ts';
import { tempDatabase } from '../test-support/temp-dir.ts';
import { until } from '../test-support/until.ts';

const headers = { 'x-forwarded-proto': 'https' };
const start = (url: string, workers: number) =>
  startServer({
    NODE_ENV: 'production',
    SESSION_STORE: 'database',
    DATABASE_URL: url,
    SESSION_SECRET: 'f3Xw9Lq2Vb7Nc5Zk8Hs4Jd6Gt1Ry0PmU',
    TRUST_PROXY: 'loopback',
    DEMO_ACCOUNTS: 'on',
    WEB_CONCURRENCY: String(workers),
  });
const workersOf = ({ output }: AppServer) =>
  [...output().matchAll(/"pid":(\d+)[^\n]*Cloakroom is open/g)].map(([, pid]) => Number(pid));
const killIfRunning = (pid: number) => {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {} // it has ended already
};

/** Eight guests, and Ada and Grace in two browsers each, who fill their carts until `stop`. */
async function startVisitors(origin: string) {
  const accounts = [ADA, ADA, GRACE, GRACE];
  const visitors = Array.from({ length: 12 }, (_, n) => ({
    client: httpClient(origin),
    account: accounts[n],
    acknowledged: 0,
    /** Without a response, or refused: such a change may have been stored. */
    uncertain: 0,
  }));
  for (const { client, account } of visitors)
    if (account)
      assert.equal((await client.post('/login', { headers, json: account })).status, 200);
  const over = new AbortController();
  const fill = async (visitor: (typeof visitors)[0]) => {
    for (let step = 0; !over.signal.aborted; step++) {
      const json = { sku: demoProducts[step % demoProducts.length]?.sku };
      const added = await visitor.client.post('/cart/lines', { headers, json }).catch(() => null);
      if (added?.status === 200) visitor.acknowledged += 1;
      else visitor.uncertain += 1;
      await new Promise((resolve) => setTimeout(resolve, added ? 25 : 50));
    }
  };
  const all = Promise.all(visitors.map(fill));
  const sum = (of: 'acknowledged' | 'uncertain') => visitors.reduce((n, each) => n + each[of], 0);
  return {
    visitors,
    sum,
    stop: async () => {
      over.abort();
      await all;
    },
  };
}

let database: Awaited<ReturnType<typeof tempDatabase>>;
let server: AppServer;
before(async () => {
  database = await tempDatabase();
  server = await start(database.url, 4);
});
after(async () => {
  await server.stop();
  await database.stop();
});

it('four workers lose no acknowledged change: not when they are replaced, nor when they are killed mid-write', async (t) => {
  const load = await startVisitors(server.origin);
  t.after(load.stop);
  const goesOn = async () => {
    const from = load.sum('acknowledged');
    await until(async () => load.sum('acknowledged') > from + 100, 'a hundred more changes');
  };
  await goesOn();
  server.kill('SIGHUP');
  const isReplaced = async () => server.output().includes('All workers were replaced');
  await until(isReplaced, 'replaced', 90_000);
  await goesOn();
  assert.equal(load.sum('uncertain'), 0);

  for (let round = 0; round < 2; round++) {
    const worker = workersOf(server).at(-1) ?? assert.fail();
    process.kill(worker, 'SIGKILL');
    await goesOn();
    await until(async () => workersOf(server).at(-1) !== worker, 'another worker');
  }
  server.kill('SIGKILL'); // the primary
  for (const worker of workersOf(server).slice(-5)) killIfRunning(worker);
  await load.stop();

  server = await start(database.url, 1);
  const lines = [`${load.sum('acknowledged')} acknowledged, ${load.sum('uncertain')} uncertain`];
  for (const { client, account, ...one } of load.visitors) {
    const same = account ? load.visitors.filter((each) => each.account === account) : [one];
    const least = same.reduce((sum, each) => sum + each.acknowledged, 0);
    const most = same.reduce((sum, each) => sum + each.acknowledged + each.uncertain, 0);
    const visitor = httpClient(server.origin, client.cookie);
    const { count } = (await visitor.get('/cart', { headers })).json;
    lines.push(`${count} of ${least} to ${most}`);
    assert.ok(count >= least && count <= most, lines.join('; '));
  }
  t.diagnostic(lines.join('; '));
});

/** The version of each account's cart, by key, in a sound database. */
function cartsIn(path: string): Map<string, number> {
  const file = new DatabaseSync(path, { readOnly: true });
  const check = file.prepare('pragma integrity_check').get();
  const rows = file.prepare("select key, version from records where key like 'doc:cart:%'").all();
  file.close();
  assert.equal(check?.integrity_check, 'ok');
  return new Map(rows.map(({ key, version }) => [String(key), Number(version)]));
}

it('npm run backup copies the database while the shop runs, and refuses to replace it', async (t) => {
  const load = await startVisitors(server.origin);
  t.after(load.stop);
  await until(async () => load.sum('acknowledged') > 50, 'the shop is busy');
  const cartsBefore = cartsIn(database.url.slice('sqlite:'.length));
  const file = join(dirname(database.url.slice('sqlite:'.length)), 'backup.db');
  const cli = new URL('../app/storage/backup-cli.ts', import.meta.url).pathname;
  const backupOf = (url: string, ...args: string[]) =>
    run('env', [`DATABASE_URL=${url}`, process.execPath, cli, ...args]);
  const backup = (...args: string[]) => backupOf(database.url, ...args);
  for (let round = 0; round < 2; round++) await backup(file);
  await load.stop();
  assert.equal(statSync(file).mode & 0o077, 0);
  const carts = cartsIn(file);
  assert.equal(cartsBefore.size, 2);
  for (const [key, version] of cartsBefore) assert.ok((carts.get(key) ?? 0) >= version, key);

  await assert.rejects(backup(), /Usage: npm run backup -- FILE/);

  const live = database.url.slice('sqlite:'.length);
  const link = join(dirname(live), 'link.db');
  symlinkSync(live, link);
  for (const end of ['', '-wal', '-shm'])
    await assert.rejects(backup(live + end), /The backup would replace .* which the shop uses/);
  await assert.rejects(backup(link), /The backup would replace/);
  await assert.rejects(backup('/nowhere/copy.db'), /There is no folder \/nowhere/);
  await assert.rejects(
    backupOf('sqlite:/tmp/no.db', file),
    /names \/tmp\/no\.db, which does not exist/,
  );
  const wrong = backupOf(`sqlite:${import.meta.filename}`, file);
  await assert.rejects(
    wrong,
    /Cannot copy .*sqlite\.test\.ts to .*: Error: file is not a database/,
  );
});

it('a full disk gives 503, and nothing is half done', async (t) => {
  const disk = new DatabaseSync(':memory:');
  t.after(() => disk.close());
  const shop = await startShop(sqliteBackend(disk), { documents: sqliteBackend(disk, 'doc:') });
  t.after(shop.close);
  const visitor = shop.visitor();
  await visitor.post('/login', { json: ADA });
  await visitor.post('/cart/lines', { json: { sku: 'bowler-hat', quantity: 3 } });

  disk.exec('pragma max_page_count = 1'); // no more pages than there are
  const fill = disk.prepare("insert into records values ('filler' || random(), 1, ?, null)");
  for (const size of [3000, 300, 30])
    assert.throws(() => {
      for (;;) fill.run('x'.repeat(size));
    }, /full/);
  const refused = await visitor.post('/checkout');
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '2']);
  assert.equal((await shop.visitor().get('/')).status, 503, 'a new visitor');
  assert.equal((await visitor.get('/cart')).json.count, 3);
  assert.deepEqual((await visitor.get('/orders')).json.orders, []);

  disk.exec("pragma max_page_count = 10000; delete from records where key like 'filler%'");
  const placed = await visitor.post('/checkout');
  assert.equal(placed.status, 201);
  assert.equal((await visitor.get('/cart')).json.count, 0);
});
