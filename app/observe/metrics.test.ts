import assert from 'node:assert/strict';
import { it } from 'node:test';
import { register } from 'prom-client';
import { startShop } from '../../test-support/start-shop.ts';
import { memoryBackend } from '../session/index.ts';

it('labels a request with one of a few known methods, or with “other”', async (t) => {
  const shop = await startShop(memoryBackend());
  t.after(shop.close);
  const methods = ['GET', 'HEAD', 'POST', 'OPTIONS', 'PUT', 'PATCH', 'DELETE', 'PROPFIND', 'LOCK'];
  for (const method of methods) await shop.visitor().request(method, '/livez');
  const text = await register.metrics();
  const labels = text.matchAll(/cloakroom_request_seconds_count\{method="(\w+)"/g);
  assert.deepEqual(
    [...labels].map(([, method]) => method),
    [...methods.slice(0, 7), 'other'],
  );
});
