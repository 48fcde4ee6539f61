import assert from 'node:assert/strict';
import { after, before, it, mock } from 'node:test';
import { register } from 'prom-client';
import { ask, type BoundBrowser, boundBrowser } from '../../test-support/bound-browser.ts';
import { ADA, type Shop, startShop } from '../../test-support/start-shop.ts';
import { sitemap } from '../routes.ts';
import { memoryBackend } from '../session/index.ts';

const SECOND = 1000;
const PRODUCTION = { NODE_ENV: 'production', SESSION_STORE: 'redis', TRUST_PROXY: 'loopback' };
const JSON_PLEASE = { accept: 'application/json' };

let shop: Shop;
let browser: BoundBrowser;
let ticket: string;
before(async () => {
  mock.timers.enable({ apis: ['Date'], now: Date.now() });
  shop = await startShop(memoryBackend(), { lab: { outageSeconds: 0 } }, PRODUCTION);
  browser = boundBrowser(() => shop.origin);
  await browser.request('/login', { method: 'POST', json: ADA });
  await browser.registered();
  await browser.request('/account');
  mock.timers.tick(11 * SECOND);
  ticket = `__Host-sid=${browser.cookies.get('__Host-sid')?.value}`;
});
after(async () => {
  mock.timers.reset();
  await shop.close();
});

const jsonOf = async (path: string) =>
  (await browser.request(path, { headers: JSON_PLEASE })).json() as Promise<
    Record<string, unknown>
  >;

it('says on the account page which sessions are bound', async () => {
  await shop.visitor().post('/login', { json: ADA, headers: { 'x-forwarded-proto': 'https' } });
  const { sessions } = (await jsonOf('/account')) as { sessions: { bound: boolean }[] };
  assert.deepEqual(
    sessions.map(({ bound }) => bound),
    [true, false],
  );
  const page = await (await browser.request('/account')).text();
  assert.equal(page.match(/Bound to the browser’s key/g)?.length, 1);
});

it('shows the kind of key, the last proof and its end in the X-ray', async () => {
  const { device } = (await jsonOf('/session')) as { device: Record<string, number> };
  assert.equal(device.algorithm, 'ES256');
  assert.equal((device.endsAt ?? 0) - (device.provedAt ?? 0), 600 * SECOND);
  const page = await (await browser.request('/session')).text();
  assert.match(page, /To an ES256 key of this browser\. Last proved at \d\d:\d\d:\d\d UTC/);
  assert.doesNotMatch(page, /&#34;d&#34;/); // the private half
});

it('shows nothing of the account to a thief who has the session cookie, on any route', async () => {
  const anything: never = new Proxy(() => {}, { get: () => anything }) as never;
  const routes = sitemap(anything, anything, anything).map(([verb, path]) => [verb, path] as const);
  const more = [
    ['get', '/session/events'],
    ['get', '/nowhere'],
    ['post', '/dbsc/refresh'],
  ] as const;
  const secrets = [/\bAda\b/, new RegExp(ADA.email), /acct_|"id":"/];
  for (const [verb, path] of [...routes, ...more]) {
    if (path === '/logout') continue;
    for (const accept of ['text/html', 'application/json'])
      for (const mode of ['navigate', undefined]) {
        const headers = { accept, cookie: ticket, ...(mode && { 'sec-fetch-mode': mode }) };
        const url = shop.origin + path.replace(/[:*]\w+/g, 'x');
        const response = await ask(url, { method: verb.toUpperCase(), headers });
        const text = `${[...response.headers].join()} ${await response.text()}`;
        for (const secret of secrets) assert.doesNotMatch(text, secret, `${verb} ${path}`);
        const open = path === '/login' || path === '/session/events';
        assert.equal(response.status === 200, open && verb === 'get', `${verb} ${path}`);
      }
  }
  assert.equal(browser.ended.length, 0);
  assert.equal((await browser.request('/account')).status, 200);
});

it('tells a thief in words that the session belongs to another browser', async () => {
  const json = await ask(`${shop.origin}/account`, { headers: { ...JSON_PLEASE, cookie: ticket } });
  assert.equal(json.status, 401);
  assert.deepEqual(await json.json(), {
    errorMessage:
      'This session belongs to another browser, or this browser has lost its key. Log in again.',
  });
  const page = await ask(`${shop.origin}/login`, { headers: { cookie: ticket } });
  assert.match(await page.text(), /This browser could not prove that it is the one that logged in/);
});

it('keeps the key after a password change', async () => {
  const newPassword = 'difference-engine';
  const change = { currentPassword: ADA.password, newPassword };
  const { id } = browser.device ?? {};
  const visit = { method: 'POST', json: change, headers: JSON_PLEASE };
  assert.equal((await browser.request('/account/password', visit)).status, 200);
  mock.timers.tick(601 * SECOND);
  assert.equal((await browser.request('/account')).status, 200);
  assert.equal(browser.device?.id, id);
});

it('logs and counts each registration, proof and refusal, under the name of the session', async () => {
  const lines = shop.log.map((line) => JSON.parse(line));
  const [registered, proved, refused] = ['registered', 'proved', 'refused'].map((what) =>
    lines.find(({ event }) => event === `device-${what}`),
  );
  assert.ok(registered?.session && registered.requestId);
  assert.equal(proved?.session, registered.session);
  assert.equal(refused?.session, registered.session);
  assert.equal(refused.reason, 'unproved');
  const metrics = await register.metrics();
  assert.match(metrics, /cloakroom_session_events_total\{event="device-registered"\} 1/);
  assert.match(metrics, /cloakroom_session_events_total\{event="device-proved"\} \d/);
  assert.match(metrics, /cloakroom_session_events_total\{event="device-refused"\} \d\d/);
  assert.match(metrics, /route="\/dbsc"/);
});
