// npm run screenshots: takes the pictures in docs/ again, and the picture that other sites show for
// a link to the shop.
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { chromium, type Page } from 'playwright';
import { chromiumOptions } from '../test-support/chromium.ts';
import { startServer } from '../test-support/start-server.ts';

const root = resolve(import.meta.dirname, '..');
mkdirSync(`${root}/docs`, { recursive: true });
const server = await startServer({});
const browser = await chromium.launch(chromiumOptions());

const pictures: Record<string, (page: Page) => Promise<unknown>> = {
  shop: async (page) => {
    for (let views = 0; views < 3; views++) await page.goto('/');
  },
  session: (page) => page.goto('/session'),
  lab: async (page) => {
    await page.goto('/lab');
    await page.getByRole('button', { name: 'Add 20 hats at once' }).click();
    await page.getByRole('status').waitFor();
    await page.evaluate(() => scrollTo(0, 0));
  },
};

for (const colorScheme of ['light', 'dark'] as const) {
  const viewport = { width: 1280, height: 880 };
  // Without motion, so that no picture shows the middle of an animation.
  const options = {
    colorScheme,
    viewport,
    reducedMotion: 'reduce',
    baseURL: server.origin,
  } as const;
  const page = await browser.newPage(options);
  await page.goto('/');
  await page.getByRole('button', { name: 'Add Bowler hat to cart' }).click();
  await page.getByText('Bowler hat added.').waitFor();
  for (const [name, show] of Object.entries(pictures)) {
    if (colorScheme === 'dark' && name !== 'shop') continue; // only the shop's picture has both
    await show(page);
    await page.screenshot({ path: `${root}/docs/${name}-${colorScheme}.png` });
  }
  await page.close();
}

// The shop's content security policy blocks added styles, which this picture needs.
const poster = await browser.newPage({
  viewport: { width: 1200, height: 630 },
  baseURL: server.origin,
  bypassCSP: true,
  colorScheme: 'light',
});
await poster.goto('/');
await poster.addStyleTag({
  content: `.nav, .actions, .footer, .toolbar, .shelf { display: none }
    .brand { font-size: 2.2rem } .brand img { width: 48px; height: 48px }
    html { overflow: hidden } main { padding-top: 2.5rem }`,
});
await poster.screenshot({ path: `${root}/public/social.png` });

await browser.close();
await server.stop();
