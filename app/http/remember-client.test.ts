import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import { ADA, PAGE, startShop } from '../../test-support/start-shop.ts';
import { memoryBackend } from '../session/index.ts';
import { canonicalAddress } from './remember-client.ts';

it('an address has one form: without port, brackets and zone, and IPv4 as IPv4', () => {
  const forms = {
    '2.2.2.2': ['2.2.2.2', '2.2.2.2:50001'],
    '2001:db8::1': ['2001:DB8:0:0::1', '[2001:db8::1]', '[2001:db8::1]:50001'],
    '1.2.3.4': ['::ffff:1.2.3.4', '::FFFF:102:304', '[::ffff:1.2.3.4]:50001'],
    'fe80::1': ['fe80::1%eth0', '[fe80::1%eth0]:50001'],
  };
  for (const [address, texts] of Object.entries(forms))
    for (const text of texts) assert.equal(canonicalAddress(text), address, text);
  for (const text of [
    ...['', 'unknown', '_hidden', '1.2.3', '1.2.3.4.5', '010.1.1.1', '1.2.3.4:x', '1.2.3.4/8'],
    ...['[1.2.3.4]:1', '2001:db8::1:', '[2001:db8::1', 'evil.test:80', '1.2.3.4 5', '%eth0'],
  ])
    assert.equal(canonicalAddress(text), undefined, text);
});

/**
 * The address that the shop takes for the client's, read from the log lines of refused requests.
 */
async function clientsOf(t: TestContext, TRUST_PROXY: string, forwarded: string[]) {
  const shop = await startShop(memoryBackend(), {}, { TRUST_PROXY });
  t.after(shop.close);
  for (const header of forwarded)
    await shop.visitor().post('/login', { json: '{', headers: { 'x-forwarded-for': header } });
  const lines = shop.log.map((line) => JSON.parse(line));
  return {
    clients: lines.filter(({ event }) => event === 'refused').map(({ address }) => address),
    warnings: lines.filter(({ level }) => level === 40).map(({ msg }) => msg),
  };
}

it('the client behind proxies that append ports is found by hops and by addresses', async (t) => {
  const forms = ['2.2.2.2:50001', '[2001:db8::1]:50001', '::ffff:1.2.3.4', 'fe80::1%eth0'];
  const canonical = ['2.2.2.2', '2001:db8::1', '1.2.3.4', 'fe80::1'];
  const forged = forms.map((form) => `9.9.9.9, ${form}`);
  const two = forged.map((form) => `${form}, 10.0.0.2:443`);
  for (const [trust, headers] of [
    ['1', forms],
    ['1', forged],
    ['2', two],
    ['loopback', forged],
    ['loopback, 10.0.0.0/8', two],
    [
      'loopback, 10.0.0.0/8',
      two.map((form) => form.replace('10.0.0.2:443', '[::ffff:10.0.0.2]:443')),
    ],
  ] as const)
    assert.deepEqual((await clientsOf(t, trust, [...headers])).clients, canonical, trust);
  assert.deepEqual((await clientsOf(t, 'none', forms)).clients, Array(4).fill('127.0.0.1'));
});

it('where a proxy sends text that is not an address, the proxy counts as the client, and one warning is logged', async (t) => {
  const { clients, warnings } = await clientsOf(t, '2', [
    ...['unknown', '_a', '_b', 'unknown, 10.0.0.2:443', '<script>, 10.0.0.2'],
  ]);
  const proxies = ['127.0.0.1', '127.0.0.1', '127.0.0.1', '10.0.0.2', '10.0.0.2'];
  assert.deepEqual(clients, proxies);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0], /X-Forwarded-For/);
});

it('a new port does not make a new client, for the limits or for the account page', async (t) => {
  const shop = await startShop(memoryBackend(), {}, { TRUST_PROXY: '1' });
  t.after(shop.close);
  for (const [place, from] of [
    ['2.2.2.2', (n: number) => `2.2.2.2:${50_000 + n}`],
    ['2001:db8::1', (n: number) => `[2001:db8::1]:${50_000 + n}`],
  ] as const) {
    const headers = (n: number) => ({ 'x-forwarded-for': from(n) });
    const visitor = shop.visitor();
    for (const browser of [shop.visitor(), visitor])
      await browser.post('/login', { json: ADA, headers: headers(99) });
    const page = await visitor.get('/account', { headers: { ...PAGE.headers, ...headers(98) } });
    assert.match(page.text, new RegExp(`, ${place}</dd>`));
    const statuses = [];
    for (let n = 0; n < 13; n++) {
      const json = { ...ADA, password: 'wrong' };
      const response = await shop.visitor().post('/login', { json, headers: headers(n) });
      statuses.push(response.status);
    }
    assert.deepEqual(statuses, [...Array(10).fill(403), 429, 429, 429]);
  }
});
