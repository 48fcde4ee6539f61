// npm run screenshots: makes the pictures in docs/ anew, from the shop as it is.
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { chromium } from 'playwright';
import { chromiumOptions } from './support/chromium.ts';
import { startServer } from './support/start-server.ts';

const docs = `${resolve(import.meta.dirname, '../docs')}/`;
mkdirSync(docs, { recursive: true });
const server = await startServer({});
const browser = await chromium.launch(chromiumOptions());
for (const colorScheme of ['light', 'dark'] as const) {
  const viewport = { width: 1280, height: 880 };
  const page = await browser.newPage({ colorScheme, viewport, baseURL: server.origin });
  await page.goto('/');
  await page.getByRole('button', { name: 'Add Bowler hat to cart' }).click();
  for (let views = 0; views < 3; views++) await page.goto('/');
  await page.screenshot({ path: `${docs}shop-${colorScheme}.png` });
  await page.close();
}
await browser.close();
await server.stop();
