// The shop as deploy/ sets it up: a real proxy with TLS, two processes, and one Redis with the
// users of users.acl.
import { expect, test } from 'playwright/test';
import { startBriefCaddy, startCaddy } from '../test-support/caddy.ts';
import { startNginx } from '../test-support/nginx.ts';
import { startRedisWithUsers } from '../test-support/redis.ts';
import { logIn } from '../test-support/shop-fixture.ts';
import { startTwoServers } from '../test-support/start-server.ts';
import { ADA } from '../test-support/start-shop.ts';

const proxies = { nginx: startNginx, Caddy: startCaddy, 'two lines of Caddy': startBriefCaddy };

for (const [name, start] of Object.entries(proxies))
  test(`behind ${name}: log in, fill the cart, log out, on two processes`, async ({ browser }) => {
    await using stack = new AsyncDisposableStack();
    const redis = await startRedisWithUsers();
    stack.defer(redis.stop);
    const production = { NODE_ENV: 'production', TRUST_PROXY: 'loopback', DEMO_ACCOUNTS: 'on' };
    const servers = await startTwoServers(redis.url, production);
    for (const server of servers) stack.defer(async () => void (await server.stop()));
    const proxy = await start(servers.map(({ port }) => port));
    stack.defer(proxy.stop);
    // Headers that a visitor forges must neither stop the cookie from being sent nor make the
    // shop's own forms look foreign.
    const extraHTTPHeaders = {
      'X-Forwarded-For': '203.0.113.9',
      'X-Forwarded-Proto': 'http',
      'X-Forwarded-Host': 'evil.test',
      Forwarded: 'proto=http;host=evil.test',
    };
    const context = await browser.newContext({ baseURL: proxy.origin, extraHTTPHeaders });
    stack.defer(() => context.close());
    const page = await context.newPage();

    await page.goto('/');
    await page.getByRole('button', { name: 'Add Bowler hat to cart' }).click();
    await expect(page.getByText('Bowler hat added.')).toBeVisible();
    const [cookie] = await context.cookies();
    expect(cookie).toMatchObject({ name: '__Host-sid', secure: true, httpOnly: true });

    await logIn(page, ADA.email, ADA.password);
    await expect(page.getByRole('status')).toHaveText('Welcome, Ada.');
    await page.goto('/cart');
    await expect(page.getByRole('heading', { name: 'Bowler hat' })).toBeVisible();
    for (let count = 0; count < 20; count++) await page.reload();

    await page.getByRole('button', { name: 'Log out' }).click();
    await expect(page.getByRole('link', { name: 'Log in' })).toBeVisible();
    await page.goto('/cart');
    await expect(page.getByText('Your cart is empty.')).toBeVisible();

    for (const server of servers) {
      await server.stop(); // so that the last lines of its log are written
      expect(server.output()).toContain('"path":"/cart"');
      expect(server.output()).not.toMatch(/No session cookie|NOPERM/);
    }
  });
