import { defineConfig } from 'playwright/test';
import { chromiumOptions } from '../test-support/chromium.ts';
import type { ShopOptions } from '../test-support/shop-fixture.ts';

const withOwnServers = ['deploy.e2e.ts', 'cookie-attributes.e2e.ts', 'device-bound.e2e.ts'];

export default defineConfig<object, ShopOptions>({
  testMatch: '*.e2e.ts',
  outputDir: 'results',
  forbidOnly: true,
  workers: 2,
  // Long enough that only a hang reaches these limits, even on a slow machine.
  timeout: 180_000,
  expect: { timeout: 60_000 },
  use: {
    browserName: 'chromium',
    launchOptions: chromiumOptions(),
    ignoreHTTPSErrors: true, // the proxies of the tests have certificates of a private CA
    // A trace costs a fifth of the time. To see what happened: playwright test --trace on
    trace: 'off',
  },
  projects: [
    { name: 'development', testIgnore: withOwnServers, use: { shape: 'development' } },
    {
      name: 'production',
      testIgnore: withOwnServers,
      use: { shape: 'production' },
      workers: 1, // each starts a browser, a Redis, two processes and nginx
      grepInvert: /@development/,
    },
    { name: 'own servers', testMatch: withOwnServers },
  ],
});
