import { test as base, expect, type Page } from 'playwright/test';
import { startNginx } from './nginx.ts';
import { startRedisWithUsers } from './redis.ts';
import { startServer, startTwoServers } from './start-server.ts';

export type ShopOptions = {
  /**
   * development: one process, sessions in memory, as `npm run dev` serves it. production: two
   * processes on one Redis behind nginx, with the users and the site of `deploy/`.
   */
  shape: 'development' | 'production';
  origin: string;
};

/** Playwright's `test` with a shop, which is started once for all tests of a shape. */
export const test = base.extend<object, ShopOptions>({
  shape: ['development', { option: true, scope: 'worker' }],
  origin: [
    async ({ shape }, use) => {
      await using stack = new AsyncDisposableStack();
      if (shape === 'development') {
        const server = await startServer({});
        stack.defer(async () => void (await server.stop()));
        await use(server.origin.replace('127.0.0.1', 'localhost'));
        return;
      }
      const redis = await startRedisWithUsers();
      stack.defer(redis.stop);
      const production = { NODE_ENV: 'production', TRUST_PROXY: 'loopback', DEMO_ACCOUNTS: 'on' };
      const servers = await startTwoServers(redis.url, production);
      for (const server of servers) stack.defer(async () => void (await server.stop()));
      const nginx = await startNginx(servers.map(({ port }) => port));
      stack.defer(nginx.stop);
      await use(nginx.origin);
    },
    { scope: 'worker' },
  ],
  baseURL: async ({ origin }, use) => use(origin),
});

/**
 * For a test of what is the same in both shapes: a page, its script, its style sheet. It depends neither on
 * the cookie's attributes nor on which process answers.
 */
export const DEVELOPMENT_ONLY = { tag: '@development' };

export async function logIn(page: Page, email: string, password: string): Promise<void> {
  await page.goto('/login');
  await page.getByLabel('Email').fill(email);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
}

/** Adds a product in the shop, and goes to the cart. */
export async function addToCart(page: Page, name: string): Promise<void> {
  await page.goto('/');
  await page.getByRole('button', { name: `Add ${name} to cart` }).click();
  await expect(page.getByText(`${name} added.`)).toBeVisible();
  await page.goto('/cart');
}

/** Stops the clock of this page: time passes only through `page.clock.runFor`. */
export async function stopTheClock({ clock }: Page): Promise<void> {
  await clock.install();
  await clock.pauseAt(Date.now() + 60_000);
}
