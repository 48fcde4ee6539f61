import { expect, type Page } from 'playwright/test';
import { DEVELOPMENT_ONLY, logIn, test } from '../test-support/shop-fixture.ts';
import { ADA } from '../test-support/start-shop.ts';

const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });
const beret = (page: Page) => page.getByLabel('Quantity of Wool beret');
const more = (page: Page) => button(page, 'One more: Wool beret');
const less = (page: Page) => button(page, 'One fewer: Wool beret');

/** Opens a cart with these lines. With several, the last one is far down the page. */
async function openCart(page: Page, quantities: Record<string, number>): Promise<void> {
  for (const [sku, quantity] of Object.entries(quantities))
    await page.request.post('/cart/lines', { form: { sku, quantity } });
  await page.goto('/cart');
  await page.waitForLoadState(); // its script has to run, too
}

test('quick presses of a stepper all count, and the page does not move', async ({ page }) => {
  await openCart(page, { 'bowler-hat': 1, 'felt-fedora': 1, 'sand-trench': 1, 'wool-beret': 1 });
  await page.setViewportSize({ width: 390, height: 600 });
  await page.getByText('Total').scrollIntoViewIfNeeded();
  const top = async () => (await more(page).boundingBox())?.y ?? Number.NaN;
  const before = await top();
  await more(page).evaluate((element: HTMLElement) => {
    for (let presses = 0; presses < 5; presses++) element.click();
  });
  await expect(beret(page)).toHaveValue('6');
  expect(Math.abs((await top()) - before)).toBeLessThan(2);
  await expect(page.getByRole('navigation', { name: 'Main' })).toContainText('9 items');
  await page.reload();
  await expect(beret(page)).toHaveValue('6');
});

test(
  'by keyboard, the focus stays at the line whatever happens to its buttons',
  DEVELOPMENT_ONLY,
  async ({ page }) => {
    await openCart(page, { 'bowler-hat': 1, 'wool-beret': 97 });
    await more(page).focus();
    await page.keyboard.press('Enter');
    await expect(beret(page)).toHaveValue('98');
    await expect(more(page)).toBeFocused();
    await page.keyboard.press('Enter');
    await expect(beret(page)).toHaveValue('99');
    await expect(more(page)).toBeDisabled();
    await expect(beret(page)).toBeFocused();
    await expect(beret(page)).toHaveAccessibleDescription('at most 99 of each product');
    await page.keyboard.press('ControlOrMeta+A');
    await page.keyboard.type('2');
    await page.keyboard.press('Enter');
    await expect(page.getByRole('main').getByText('3 items')).toBeVisible();
    await expect(beret(page)).toBeFocused();
    await less(page).press('Enter');
    await expect(less(page)).toBeDisabled();
    await expect(beret(page)).toBeFocused();
    await button(page, 'Remove Wool beret').press('Enter');
    await expect(button(page, 'Undo')).toBeFocused();
    await expect(button(page, 'Undo')).toBeInViewport();
  },
);

for (const javaScriptEnabled of [true, false])
  test.describe(javaScriptEnabled ? 'with JavaScript' : 'without JavaScript', () => {
    test.use({ javaScriptEnabled });

    test('what was removed comes back by Undo', DEVELOPMENT_ONLY, async ({ page }) => {
      await openCart(page, { 'bowler-hat': 2, 'wool-beret': 3 });
      await button(page, 'Remove Wool beret').click();
      await expect(page.getByRole('status')).toHaveText('Wool beret removed.');
      await page.reload();
      await button(page, 'Undo').click();
      await expect(beret(page)).toHaveValue('3');
      await expect(button(page, 'Undo')).toHaveCount(0);
      await button(page, 'Empty the cart').click();
      await expect(page.getByRole('status')).toHaveText('2 products removed.');
      await expect(page.getByText('Your cart is empty.')).toBeVisible();
      await button(page, 'Undo').click();
      await expect(page.getByRole('main').getByText('5 items')).toBeVisible();
    });
  });

test.describe('without JavaScript', () => {
  test.use({ javaScriptEnabled: false });

  test('a stepper leads back to its line', DEVELOPMENT_ONLY, async ({ page }) => {
    await openCart(page, { 'bowler-hat': 1, 'felt-fedora': 1, 'sand-trench': 1, 'wool-beret': 1 });
    await page.setViewportSize({ width: 390, height: 600 });
    await more(page).click();
    await expect(page).toHaveURL(/\/cart#wool-beret$/);
    await expect(beret(page)).toHaveValue('2');
    await expect(beret(page)).toBeInViewport();
  });
});

test(
  'the lab shows each result in its place, and all of them again after a reload',
  DEVELOPMENT_ONLY,
  async ({ page }) => {
    await page.goto('/lab');
    await page.waitForLoadState();
    for (const [race, result] of [
      ['Add 20 hats at once', '20 of 20 hats kept'],
      ['Run the log-out race', 'The visitor stays logged out.'],
      ['Add from two tabs', '2 of 2 items kept'],
    ] as const) {
      const run = page.getByRole('button', { name: race });
      await run.focus();
      const before = await run.boundingBox();
      await page.keyboard.press('Enter');
      await expect(page.getByRole('status')).toContainText(result);
      await expect(run).toBeFocused();
      expect((await run.boundingBox())?.y).toBeCloseTo(before?.y ?? Number.NaN, -1);
    }
    await page.reload();
    for (const result of ['20 of 20 hats kept', 'stays logged out.', '2 of 2 items kept'])
      await expect(page.getByText(result)).toBeVisible();
  },
);

test(
  'lost cells do not move if the visitor prefers reduced motion',
  DEVELOPMENT_ONLY,
  async ({ page }) => {
    await page.goto('/lab');
    await page.getByRole('button', { name: 'Add 20 hats at once' }).click();
    await expect(page.getByRole('status')).toContainText('20 of 20');
    const animation = () =>
      page
        .locator('.lost')
        .first()
        .evaluate((cell) => getComputedStyle(cell).animationName);
    expect(await animation()).toBe('lost');
    await page.emulateMedia({ reducedMotion: 'reduce' });
    expect(await animation()).toBe('none');
  },
);

test(
  'adding a product keeps the visitor’s place in the shop, and is confirmed',
  DEVELOPMENT_ONLY,
  async ({ page }) => {
    await page.setViewportSize({ width: 390, height: 800 });
    await page.goto('/');
    const add = page.getByRole('button', { name: 'Add Wool beret to cart' });
    await add.scrollIntoViewIfNeeded();
    const before = await add.boundingBox();
    await add.click();
    await expect(page.getByRole('status')).toHaveText('Wool beret added.');
    await expect(page.getByRole('status')).toBeInViewport({ ratio: 1 });
    await expect(page).toHaveURL(/\/$/);
    await expect(add).toBeFocused();
    const after = await add.boundingBox();
    expect(Math.abs((after?.y ?? 0) - (before?.y ?? 0))).toBeLessThan(2);
  },
);

test(
  'a user sees the page of an error that came before the session was read',
  DEVELOPMENT_ONLY,
  async ({ page }) => {
    await logIn(page, ADA.email, ADA.password);
    await openCart(page, { 'wool-beret': 1 });
    const body = '<header></header><main id="content" tabindex="-1">Try again.</main>';
    await page.route('/cart/lines/*', (route) =>
      route.fulfill({ status: 503, contentType: 'text/html', body }),
    );
    await more(page).click();
    await expect(page.getByText('Try again.')).toBeVisible();
  },
);
