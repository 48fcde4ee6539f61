import axe from 'axe-core';
import { expect, type Page } from 'playwright/test';

// No colour depends on the width, and no layout on the colour scheme, so two screens are enough.
const screens = [
  { name: 'wide and light', colorScheme: 'light', width: 1280 },
  { name: 'narrow and dark', colorScheme: 'dark', width: 320 },
] as const;

/** On each screen the page is accessible, as far as axe can tell, and no wider than the screen. */
export async function checkPage(page: Page): Promise<void> {
  await page.waitForLoadState(); // the page needs its style sheet
  await page.evaluate(axe.source); // which makes `axe` a global of the page
  for (const { name, colorScheme, width } of screens) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 800 });
    const found = await page.evaluate(async () => {
      const { violations } = await axe.run({ resultTypes: ['violations'] });
      return violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]);
    });
    expect(found, `${page.url()}, ${name}`).toEqual([]);
    const overflow = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    expect(overflow, `${page.url()}, ${name}`).toBeLessThanOrEqual(0);
  }
}
