// Runs `npm run dev` from package.json in a copy of the project, so that the test may edit files.
import assert from 'node:assert/strict';
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { it, type TestContext } from 'node:test';
import { type Child, startChild } from '../test-support/child.ts';
import { freePort } from '../test-support/free-port.ts';
import { httpClient } from '../test-support/http-client.ts';
import { listen } from '../test-support/listen.ts';
import { refuses } from '../test-support/refuses-connections.ts';
import { ADA } from '../test-support/start-shop.ts';
import { until } from '../test-support/until.ts';

const root = resolve(import.meta.dirname, '..');

/** A copy of the project, and its `npm run dev`. */
async function project(t: TestContext) {
  const folder = mkdtempSync(join(root, 'e2e', 'dev-'));
  const children: Child[] = [];
  t.after(async () => {
    for (const child of children) await child.stop(); // it writes a file as it exits
    rmSync(folder, { recursive: true });
  });
  for (const name of ['app', 'config', 'views', 'public', 'package.json'])
    cpSync(join(root, name), join(folder, name), { recursive: true });
  const port = await freePort();
  const start = async (
    env: { PORT?: string | undefined } = { PORT: String(port) },
    ready = /is open/,
  ) => {
    // (Skips predev, which would install packages.)
    const args = ['run', 'dev', '--ignore-scripts'];
    const all = { NODE_ENV: 'development', ...env };
    const child = await startChild('npm', args, { cwd: folder, env: all, ready });
    children.push(child);
    return child;
  };
  return { folder, port, start };
}

const starts = ({ output }: Child) => output().split('Cloakroom is open').length - 1;

it('npm run dev keeps log-ins and all carts when it restarts itself, but only accounts and their carts when you start it again', async (t) => {
  const { folder, port, start } = await project(t);
  const first = await start();
  const guest = httpClient(`http://localhost:${port}`);
  await guest.post('/cart/lines', { json: { sku: 'wool-beret' } });
  const ada = httpClient(`http://localhost:${port}`);
  await ada.post('/login', { json: ADA });
  await ada.post('/cart/lines', { json: { sku: 'bowler-hat', quantity: 3 } });

  for (let round = 1; round <= 2; round++) {
    appendFileSync(join(folder, 'app/catalogue/catalogue.ts'), '\n');
    await until(async () => starts(first) > round, 'restarted');
    const { user, cart } = (await ada.get('/')).json;
    assert.deepEqual([user?.name, cart.count], ['Ada', 3]);
    assert.equal((await guest.get('/cart')).json.count, 1);
  }

  assert.equal(await first.stop('SIGTERM'), 0);
  assert.ok(await refuses(port));
  const kept = join(folder, 'node_modules/.cache/cloakroom-dev.json');
  assert.equal(statSync(kept).mode & 0o077, 0);
  const second = await start();
  assert.equal((await ada.get('/')).json.user, null);
  await ada.post('/login', { json: ADA });
  assert.equal((await ada.get('/cart')).json.count, 3);
  assert.equal(statSync(join(folder, '.data/shop.db')).mode & 0o077, 0);
  assert.equal(await second.stop('SIGINT'), 0);
  assert.ok(await refuses(port));
});

it('npm run dev notices every save that replaces a file, as editors and git do', async (t) => {
  const { folder, start } = await project(t);
  const child = await start();
  const files = ['app/catalogue/catalogue.ts', 'views/catalogue/shop.ejs'];
  for (const [round, name] of [...files, ...files].entries()) {
    const file = join(folder, name);
    writeFileSync(`${file}.new`, `${readFileSync(file, 'utf8')}\n`);
    renameSync(`${file}.new`, file);
    await until(async () => starts(child) > round + 1, `save ${round} of ${name} is seen`);
  }
});

it('npm run dev notices a change to .env, even after a mistake in it or when the port was taken', async (t) => {
  const { folder, port, start } = await project(t);
  const write = (...lines: string[]) => {
    writeFileSync(join(folder, '.env.new'), lines.join('\n'));
    renameSync(join(folder, '.env.new'), join(folder, '.env'));
  };
  const taken = await listen(() => {});
  t.after(taken.close);
  write(`PORT=${taken.port}`);
  const child = await start({ PORT: undefined }, /is in use/);
  for (const round of [1, 2]) {
    write(`PORT=${port}`, `LOG_LEVEL=loud${round}`);
    const refusals = () => child.output().split('LOG_LEVEL must be').length - 1;
    await until(async () => refusals() === round, 'the mistake is reported');
    write(`PORT=${port}`);
    await until(async () => starts(child) === round, 'the corrected .env is noticed');
  }
});
