import AxeBuilder from '@axe-core/playwright';
import { expect, type Page } from 'playwright/test';

// No colour depends on the width, and no layout on the colour scheme, so two screens are enough.
const screens = [
  { name: 'wide and light', colorScheme: 'light', width: 1280 },
  { name: 'narrow and dark', colorScheme: 'dark', width: 320 },
] as const;

/** On each screen the page is accessible, as far as axe can tell, and no wider than the screen. */
export async function checkPage(page: Page): Promise<void> {
  await page.waitForLoadState(); // the page needs its style sheet
  for (const { name, colorScheme, width } of screens) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 800 });
    // Legacy mode does not open a second page for the result. It cannot read frames from other
    // sites, but there are none.
    const { violations } = await new AxeBuilder({ page }).setLegacyMode().analyze();
    const found = violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]);
    expect(found, `${page.url()}, ${name}`).toEqual([]);
    const overflow = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    expect(overflow, `${page.url()}, ${name}`).toBeLessThanOrEqual(0);
  }
}
