import assert from 'node:assert/strict';
import { it } from 'node:test';
import { listenUrl, shopUrl } from './shop-url.ts';

it('the address to open is one that works, with the brackets of IPv6', () => {
  const shown = (host: string) => [listenUrl(host, 3000), shopUrl(host, 3000)];
  assert.deepEqual(shown('::1'), ['http://[::1]:3000', 'http://[::1]:3000']);
  assert.deepEqual(shown('127.0.0.2'), ['http://127.0.0.2:3000', 'http://127.0.0.2:3000']);
  assert.deepEqual(shown('shop.test'), ['http://shop.test:3000', 'http://shop.test:3000']);
  assert.deepEqual(shown('localhost'), ['http://localhost:3000', 'http://localhost:3000']);
  assert.deepEqual(shown('127.0.0.1'), ['http://127.0.0.1:3000', 'http://localhost:3000']);
  // All addresses of the machine.
  assert.deepEqual(shown('0.0.0.0'), ['http://0.0.0.0:3000', 'http://localhost:3000']);
  assert.deepEqual(shown('::'), ['http://[::]:3000', 'http://localhost:3000']);
});
