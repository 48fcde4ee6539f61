import { defineConfig } from 'playwright/test';
import { chromiumOptions } from './support/chromium.ts';
import type { ShopOptions } from './support/shop-fixture.ts';

export default defineConfig<object, ShopOptions>({
  testMatch: '*.e2e.ts',
  outputDir: 'results',
  forbidOnly: true,
  workers: 1,
  timeout: 30_000,
  use: {
    browserName: 'chromium',
    launchOptions: chromiumOptions(),
    ignoreHTTPSErrors: true, // the certificate of the tests' nginx is its own
    trace: 'retain-on-failure',
  },
  projects: [
    { name: 'development', use: { shape: 'development' } },
    // The pages are the same: they are measured once.
    { name: 'production', use: { shape: 'production' }, grepInvert: /screen/ },
  ],
});
