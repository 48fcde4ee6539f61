import assert from 'node:assert/strict';
import { it } from 'node:test';
import { register } from 'prom-client';
import { ADA, startShop } from '../../test-support/start-shop.ts';
import { memoryBackend } from '../session/index.ts';

it('while the database is down, guests go on and users get 503; /readyz names what is down', async (t) => {
  const memory = memoryBackend();
  const down = { sessions: false, documents: false };
  const unless = (part: keyof typeof down) => async () => {
    if (down[part]) throw new Error('down');
  };
  const reach = unless('documents');
  const shop = await startShop(memoryBackend(), {
    documents: {
      get: (key) => reach().then(() => memory.get(key)),
      compareAndSet: (...args) => reach().then(() => memory.compareAndSet(...args)),
    },
    checks: { 'session store': unless('sessions'), database: reach },
  });
  t.after(shop.close);
  const [guest, user] = [shop.visitor(), shop.visitor()];
  await user.post('/login', { json: ADA });
  const readyz = async () => {
    const { status, json, headers } = await guest.get('/readyz');
    return [status, json.errorMessage ?? json.status, headers.get('retry-after')];
  };
  assert.deepEqual(await readyz(), [200, 'ok', null]);

  down.documents = true;
  assert.equal((await guest.post('/cart/lines', { json: { sku: 'bowler-hat' } })).status, 200);
  assert.equal((await guest.get('/')).json.cart.count, 1);
  assert.equal((await user.get('/')).status, 503);
  assert.equal((await guest.post('/login', { json: ADA })).status, 503);
  assert.deepEqual(await readyz(), [503, 'The database does not answer.', '2']);
  down.sessions = true;
  const both = 'The session store and the database do not answer.';
  assert.deepEqual(await readyz(), [503, both, '2']);

  down.sessions = false;
  down.documents = false;
  assert.equal((await user.get('/')).json.user.name, 'Ada');
  assert.deepEqual(await readyz(), [200, 'ok', null]);
  const logged = shop.log
    .map((line) => JSON.parse(line))
    .filter(({ msg }) => /^(Not ready|Ready again)$/.test(msg))
    .map(({ msg, store, err }) => [msg, store, err?.message]);
  assert.deepEqual(logged, [
    ['Not ready', 'database', 'down'],
    ['Not ready', 'session store', 'down'],
    ['Ready again', 'session store', undefined],
    ['Ready again', 'database', undefined],
  ]);
  const metrics = await register.metrics();
  assert.match(metrics, /store_seconds_count\{of="document",operation="get",outcome="failed"\}/);
  assert.match(metrics, /store_seconds_count\{of="session",operation="get",outcome="ok"\}/);
});
