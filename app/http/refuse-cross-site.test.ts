import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { json } from 'node:stream/consumers';
import { after, before, it } from 'node:test';
import { type Shop, startShop } from '../../test-support/start-shop.ts';
import { memoryBackend } from '../session/index.ts';

let shop: Shop;
before(async () => {
  shop = await startShop(memoryBackend(), {}, { TRUST_PROXY: 'loopback' });
});
after(() => shop.close());

/** `fetch` would send its own Host. */
async function post(headers: Record<string, string>) {
  const sent = request(`${shop.origin}/cart/clear`, {
    method: 'POST',
    headers: { accept: 'application/json', ...headers },
  }).end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const { errorMessage = '' } = (await json(response)) as { errorMessage?: string };
  return { status: response.statusCode, message: errorMessage };
}

it('an old browser sends its Origin, which is compared with the host as URLs are', async () => {
  const https = { 'x-forwarded-proto': 'https' };
  const ours = { origin: 'https://shop.example.com', ...https };
  for (const headers of [
    { ...ours, host: 'shop.example.com' },
    { ...ours, host: 'shop.example.com:443' },
    { ...ours, host: 'Shop.Example.COM' },
    { ...ours, host: 'shop.example.com.' },
    { ...ours, origin: 'https://shop.example.com.', host: 'shop.example.com' },
    { ...ours, host: '127.0.0.1', 'x-forwarded-host': 'shop.example.com:443' },
    { ...ours, host: '127.0.0.1', 'x-forwarded-host': 'SHOP.example.com:443, inner' },
    { origin: 'http://shop.example.com', host: 'shop.example.com:80' },
    { origin: 'http://shop.example.com:8080', host: 'shop.example.com:8080' },
    { origin: 'http://[2001:db8::1]:8080', host: '[2001:DB8:0::1]:8080' },
    // A proxy that terminates TLS and sends no X-Forwarded-Proto.
    { origin: 'https://shop.example.com', host: 'shop.example.com' },
  ])
    assert.equal((await post(headers)).status, 200, JSON.stringify(headers));

  for (const headers of [
    { ...ours, host: 'shop.example.com:444' },
    { ...ours, host: 'shop.example.com:80' },
    { ...ours, host: 'shop.example.org' },
    { ...ours, host: 'evil.shop.example.com' },
    // Anyone on the network path can pose as this site over plain HTTP.
    { ...ours, origin: 'http://shop.example.com', host: 'shop.example.com' },
    { origin: 'http://shop.example.com:8080', host: 'shop.example.com' },
    { origin: 'null', host: 'null' },
    { origin: 'chrome-extension://shop', host: 'shop' },
    { origin: '', host: 'shop' },
    { origin: 'https://', host: 'shop' },
  ])
    assert.equal((await post(headers)).status, 403, JSON.stringify(headers));
});

it('the browser decides whether a form is from another site, if it says so', async () => {
  const foreign = { origin: 'https://evil.test', host: 'shop.example.com' };
  assert.equal((await post({ ...foreign, 'sec-fetch-site': 'same-origin' })).status, 200);
  const own = { origin: 'https://shop.example.com', host: 'shop.example.com' };
  const refused = await post({ ...own, 'sec-fetch-site': 'same-site' });
  assert.deepEqual(refused, {
    status: 403,
    message: 'This form was sent from another site, so the shop refused it.',
  });
});

it('a refusal says what arrived and which line of a proxy to change', async () => {
  const origin = 'http://shop.lan:8080';
  assert.equal(
    (await post({ origin, host: 'shop.lan' })).message,
    'This form was sent from another site, so the shop refused it. Its Origin is ' +
      'http://shop.lan:8080, but its Host is shop.lan. If both are this shop, a proxy changed the Host. For nginx: ' +
      'proxy_set_header Host $http_host;',
  );
  const forwarded = await post({ origin, host: 'inner:3000', 'x-forwarded-host': 'shop.lan' });
  assert.match(forwarded.message, /X-Forwarded-Host is shop\.lan\..*X-Forwarded-Host \$http_host;/);
  // No proxy could have changed this.
  assert.doesNotMatch((await post({ origin: 'null', host: 'shop.lan' })).message, /nginx/);
});
