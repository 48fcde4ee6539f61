// A stolen cookie, in a real browser, through nginx with TLS. With two flags that
// are meant for tests, Chromium keeps the key in software. It binds no session after a certificate error,
// so it is told the key of the test's certificate.
import { createHash, type X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import {
  type Browser,
  type BrowserContext,
  chromium,
  expect,
  type Page,
  test,
} from 'playwright/test';
import { chromiumOptions } from '../test-support/chromium.ts';
import { startNginx } from '../test-support/nginx.ts';
import type { TlsProxy } from '../test-support/proxy.ts';
import { startRedis } from '../test-support/redis.ts';
import { run } from '../test-support/run.ts';
import { logIn } from '../test-support/shop-fixture.ts';
import { cheapPasswords, startTwoServers } from '../test-support/start-server.ts';
import { ADA } from '../test-support/start-shop.ts';
import { tempDir } from '../test-support/temp-dir.ts';

const MINUTE = 60_000;
const FLAGS =
  '--enable-features=DeviceBoundSessions:RefreshQuota/false,EnableBoundSessionCredentialsSoftwareKeysForManualTesting';

const stack = new AsyncDisposableStack();
let nginx: TlsProxy;
let browser: Browser;
let clockFile = '';
/** Puts the shop's clock ahead by this many milliseconds. */
const setClock = (ahead: number) => writeFileSync(clockFile, String(ahead));

test.beforeAll(async () => {
  clockFile = join(stack.use(await tempDir('clock')).path, 'ahead');
  setClock(0);
  const redis = await startRedis();
  stack.defer(redis.stop);
  const clock = import.meta.resolve('../test-support/clock-from-file.ts');
  const servers = await startTwoServers(redis.url, {
    NODE_ENV: 'production',
    TRUST_PROXY: 'loopback',
    DEMO_ACCOUNTS: 'on',
    LAB: 'on',
    CLOCK_AHEAD: clockFile,
    NODE_OPTIONS: `${cheapPasswords.NODE_OPTIONS} --import=${clock}`,
  });
  for (const server of servers) stack.defer(async () => void (await server.stop()));
  nginx = await startNginx(servers.map(({ port }) => port));
  stack.defer(nginx.stop);
  const { executablePath, args } = chromiumOptions({ needsWhole: true });
  const pin = `--ignore-certificate-errors-spki-list=${await pinOf(nginx.origin)}`;
  browser = await chromium.launch({ executablePath, args: [...args, FLAGS, pin] });
  stack.defer(() => browser.close());
});
test.afterAll(() => stack.disposeAsync());

async function pinOf(origin: string): Promise<string> {
  const { hostname: host, port } = new URL(origin);
  const socket = connect({ host, port: Number(port), rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const certificate = socket.getPeerX509Certificate() as X509Certificate;
  socket.destroy();
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('base64');
}

/** curl, as a thief uses it: it follows no redirect. */
async function curl(path: string, cookies: Record<string, string>, ...args: string[]) {
  const jar = Object.entries(cookies).map(([name, value]) => `${name}=${value}`);
  const status = ['-o', '/dev/null', '-w', '%{http_code}'];
  const command = ['-s', '--cacert', nginx.caFile, '-b', jar.join('; '), ...status, ...args];
  return run('curl', [...command, `${nginx.origin}${path}`]);
}

/** The command of the lab page, with the visitor's own cookie. */
async function replayFromTheLab(page: Page): Promise<string> {
  await page.goto('/lab');
  const command = await page.getByLabel('A thief’s command').textContent();
  const { '__Host-sid': sid = '' } = await cookiesOf(page.context());
  const quiet = `curl -s --cacert ${nginx.caFile} -o /dev/null -w '%{http_code}'`;
  return run('sh', ['-c', `${command}`.replace('curl -i', quiet).replace('VALUE', sid)]);
}

async function cookiesOf(context: BrowserContext): Promise<Record<string, string>> {
  const cookies = await context.cookies();
  return Object.fromEntries(cookies.map(({ name, value }) => [name, value]));
}

async function boundPage(): Promise<{ context: BrowserContext; page: Page }> {
  const context = await browser.newContext({ baseURL: nginx.origin, ignoreHTTPSErrors: true });
  const page = await context.newPage();
  await logIn(page, ADA.email, ADA.password);
  await expect(page.getByRole('link', { name: 'Your account' })).toBeVisible();
  await expect(async () => {
    await page.goto('/account');
    expect(await cookiesOf(context)).toHaveProperty('__Host-device');
  }).toPass();
  return { context, page };
}

const visible = (page: Page) =>
  expect(page.getByRole('link', { name: 'Your account: Ada' })).toBeVisible();

test('a stolen cookie: the session cookie alone is refused, and so are both cookies once the bound one has expired', async () => {
  setClock(0);
  const { context, page } = await boundPage();
  const { '__Host-sid': sid = '', '__Host-device': device = '' } = await cookiesOf(context);
  setClock(11_000); // the grace period for requests under way is over
  const ticket = { '__Host-sid': sid };
  expect(await curl('/account', ticket)).toBe('401');
  expect(await curl('/account', { ...ticket, '__Host-device': device })).toBe('200');
  expect(await curl('/dbsc/refresh', ticket, '-X', 'POST')).toBe('403');
  expect(await curl('/dbsc/registration', ticket, '-X', 'POST')).toBe('400');

  setClock(11 * MINUTE);
  expect(await curl('/account', { ...ticket, '__Host-device': device })).toBe('401');
  await page.goto('/account');
  await visible(page);
  expect((await cookiesOf(context))['__Host-device']).not.toBe(device);
  await context.close();
});

test('the command of the lab page is refused for a bound session, and works for an unbound one', async ({
  browser: plain,
}) => {
  setClock(0);
  const { context, page } = await boundPage();
  setClock(11_000);
  expect(await replayFromTheLab(page)).toBe('401');
  await context.close();
  // A browser without the flags has an ordinary session.
  const options = { baseURL: nginx.origin, ignoreHTTPSErrors: true };
  const other = await plain.newContext(options);
  const ordinary = await other.newPage();
  await logIn(ordinary, ADA.email, ADA.password);
  await visible(ordinary);
  expect(await replayFromTheLab(ordinary)).toBe('200');
  await other.close();
});

test('the browser that logged in goes on: three tabs, back and forward, and links from another site', async () => {
  setClock(0);
  const { context, page } = await boundPage();
  setClock(11_000);
  expect(await curl('/account', await cookiesOf(context))).toBe('200');
  const tabs = [page, await context.newPage(), await context.newPage()];
  const expire = () => context.clearCookies({ name: '__Host-device' });
  for (let n = 0; n < 5; n++) {
    await expire();
    await Promise.all(tabs.map((tab) => tab.goto(['/account', '/cart', '/orders'][n % 3] ?? '')));
    for (const tab of tabs) await visible(tab);
  }
  await page.goto('/');
  await expire();
  await page.goBack();
  await visible(page);
  await expire();
  await page.goForward();
  await visible(page);

  await page.goto('about:blank');
  await page.setContent(`<a href="${nginx.origin}/account">Account</a>`);
  await expire();
  const refreshed = page.waitForResponse((response) => 'refresh' in response.headers());
  await page.getByRole('link', { name: 'Account' }).click();
  await refreshed;
  await expect(page).toHaveURL(`${nginx.origin}/account`);
  await visible(page);

  await expire();
  await page.getByRole('button', { name: 'Log out' }).click();
  await expect(page.getByRole('link', { name: 'Log in' })).toBeVisible();
  expect(await cookiesOf(context)).not.toHaveProperty('__Host-device');
  await context.close();
});
