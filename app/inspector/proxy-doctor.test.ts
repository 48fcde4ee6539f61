import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { PAGE, type Shop, startShop } from '../../test-support/start-shop.ts';
import { memoryBackend } from '../session/index.ts';

let shop: Shop;
before(async () => {
  const env = { NODE_ENV: 'production', SESSION_STORE: 'redis', TRUST_PROXY: 'loopback' };
  shop = await startShop(memoryBackend(), {}, env);
});
after(() => shop.close());

/** The text of the log-in page, where the doctor says the most. */
async function consult(headers: Record<string, string>) {
  const page = await shop.visitor().get('/login', { headers: { ...PAGE.headers, ...headers } });
  return page.text.replaceAll('&#34;', '"');
}

const PASS_ON = 'proxy_set_header X-Forwarded-Proto $http_x_forwarded_proto;';
const client = '203.0.113.7';

it('is silent over https, however that is written', async () => {
  for (const proto of ['https', 'HTTPS', 'Https, http', ' https ,http'])
    assert.doesNotMatch(await consult({ 'x-forwarded-proto': proto }), /Nobody can log in/, proto);
  const headers = { 'x-forwarded-proto': 'HTTPS' };
  assert.match(
    (await shop.visitor().get('/', { headers })).headers.get('set-cookie') ?? '',
    /Secure/,
  );
});

it('distinguishes a missing header, an empty one, and another scheme', async () => {
  const arrived = 'proxy_set_header X-Forwarded-Proto $scheme;';
  for (const [headers, cause, line] of [
    [{}, /The request has no X-Forwarded-Proto header/, arrived],
    [{ 'x-forwarded-proto': '' }, /The request has an empty X-Forwarded-Proto header/, arrived],
    [{ 'x-forwarded-proto': ' , http' }, /The request has an empty X-Forwarded-Proto/, arrived],
    [{ 'x-forwarded-proto': 'HTTP' }, /connected to the proxy over http, not https/, 'return 308'],
  ] as const) {
    const page = await consult({ ...headers, 'x-forwarded-for': client });
    assert.match(page, cause);
    assert.ok(page.includes(line), line);
  }
});

it('behind several proxies, names the inner one and its line, and advises no redirect', async () => {
  for (const signs of [
    { 'x-forwarded-for': `${client}, 10.0.0.2:443` },
    { 'x-forwarded-for': client, 'cf-visitor': '{"scheme":"https"}' },
    { forwarded: `for=${client};proto=https` },
    { forwarded: `for="[2001:db8::1]:50001"; Proto="HTTPS"` },
  ])
    for (const proto of ['http', 'HTTP', '', undefined]) {
      const page = await consult({
        ...(signs as Record<string, string>),
        ...(proto !== undefined && { 'x-forwarded-proto': proto }),
      });
      assert.match(page, /several proxies.*The last one, 127\.0\.0\.1,/s);
      assert.match(page, /nginx at 127\.0\.0\.1/);
      assert.ok(page.includes(PASS_ON));
      assert.doesNotMatch(page, /308|over ,/, 'a redirect would have no end');
    }
});

it('names the line to add when an inner proxy hides the outer one', async () => {
  const headers = { 'x-forwarded-proto': 'http', 'x-forwarded-for': '10.0.0.2' };
  assert.ok((await consult(headers)).includes(PASS_ON));
});
