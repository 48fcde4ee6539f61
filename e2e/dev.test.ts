// npm run dev, as package.json has it, in a copy of the project whose files may be saved.
import assert from 'node:assert/strict';
import { appendFileSync, cpSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { it } from 'node:test';
import { type Child, startChild } from '../test-support/child.ts';
import { freePort } from '../test-support/free-port.ts';
import { httpClient } from '../test-support/http-client.ts';
import { refuses } from '../test-support/refuses.ts';
import { ADA } from '../test-support/start-shop.ts';
import { until } from '../test-support/until.ts';

const root = resolve(import.meta.dirname, '..');

it('npm run dev keeps logins and carts over its restarts, and forgets them when a signal ends it', async (t) => {
  const folder = mkdtempSync(join(root, 'e2e', 'dev-'));
  const children: Child[] = [];
  t.after(async () => {
    for (const child of children) await child.stop(); // its last act is to write
    rmSync(folder, { recursive: true });
  });
  for (const name of ['app', 'config', 'views', 'public', 'package.json'])
    cpSync(join(root, name), join(folder, name), { recursive: true });
  const port = await freePort();
  const start = async () => {
    // (Without predev, which would install.)
    const args = ['run', 'dev', '--ignore-scripts'];
    const env = { NODE_ENV: 'development', PORT: String(port) };
    const child = await startChild('npm', args, { cwd: folder, env, ready: /is open/ });
    children.push(child);
    return child;
  };
  const starts = (output: string) => output.split('Cloakroom is open').length - 1;
  const restarts = () => first.output().split('Restarting ').length - 1;

  const first = await start();
  const guest = httpClient(`http://localhost:${port}`);
  await guest.post('/cart/lines', { json: { sku: 'wool-beret' } });
  const ada = httpClient(`http://localhost:${port}`);
  await ada.post('/login', { json: ADA });
  await ada.post('/cart/lines', { json: { sku: 'bowler-hat', quantity: 3 } });

  for (let round = 0; round < 2; round++) {
    const before = restarts();
    // A save before the watcher has heard of the file is lost.
    const save = async () => {
      appendFileSync(join(folder, 'app/catalogue/catalogue.ts'), '\n');
      await until(async () => restarts() > before, 'the save is heard', 5_000);
      return true;
    };
    await until(save, 'restarting');
    await until(async () => starts(first.output()) > restarts(), 'restarted');
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
  assert.equal(await second.stop('SIGINT'), 0);
  assert.ok(await refuses(port));
});
