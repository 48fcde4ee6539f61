import AxeBuilder from '@axe-core/playwright';
import { expect, type Page } from 'playwright/test';
import { test } from './shop-fixture.ts';

/** Runs tests on a wide and a narrow screen, each light and dark. */
export function onEveryScreen(tests: () => void): void {
  for (const colorScheme of ['light', 'dark'] as const)
    for (const [size, width] of Object.entries({ wide: 1280, narrow: 320 }))
      test.describe(`on a ${size} ${colorScheme} screen`, () => {
        test.use({ colorScheme, viewport: { width, height: 800 } });
        tests();
      });
}

/** The page is accessible, as far as axe can tell, and no wider than the screen. */
export async function checkPage(page: Page): Promise<void> {
  await page.waitForLoadState(); // without its style sheet it would be another page
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
  const overflow = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  expect(overflow).toBeLessThanOrEqual(0);
}
