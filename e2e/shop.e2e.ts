import { expect } from 'playwright/test';
import { checkPage } from '../test-support/screens.ts';
import {
  addToCart,
  DEVELOPMENT_ONLY,
  logIn,
  stopTheClock,
  test,
} from '../test-support/shop-fixture.ts';
import { ADA } from '../test-support/start-shop.ts';

const ticket = { name: 'Your ticket' };

test('counts the views: Welcome, then the number and the time left', async ({ page }) => {
  await stopTheClock(page);
  await page.goto('/');
  await expect(page.getByRole('complementary', ticket)).toContainText('Welcome');
  for (let views = 2; views <= 5; views++) {
    await page.reload();
    await expect(page.getByText(`Views: ${views}`)).toBeVisible();
  }
  await expect(page.getByText('Expires in: 1800 seconds')).toBeVisible();
});

test('counts down the time on the ticket', DEVELOPMENT_ONLY, async ({ page }) => {
  await stopTheClock(page);
  await page.goto('/');
  await page.clock.runFor(2000);
  await expect(page.getByText('Expires in: 1798 seconds')).toBeVisible();
});

test('logs in, keeps the cart and the views, and logs out', async ({ page, context }) => {
  await addToCart(page, 'Bowler hat');
  const [guest] = await context.cookies();

  await page.getByRole('link', { name: 'Log in' }).click();
  await page.getByLabel('Email').fill(ADA.email);
  await page.getByLabel('Password', { exact: true }).fill(ADA.password);
  await page.getByRole('button', { name: 'Log in' }).click();
  await expect(page).toHaveURL(/\/cart$/);
  await expect(page.getByRole('status')).toHaveText('Welcome, Ada.');
  await expect(page.getByRole('heading', { name: 'Bowler hat' })).toBeVisible();
  await expect(page.getByText('Views: 2')).toBeVisible();
  const [member] = await context.cookies();
  expect(member?.value).not.toBe(guest?.value);

  await page.getByRole('button', { name: 'Log out' }).click();
  await expect(page.getByRole('link', { name: 'Log in' })).toBeVisible();
  await expect(page.getByRole('complementary', ticket)).toContainText('Welcome');
  await page.goto('/cart');
  await expect(page.getByText('Your cart is empty.')).toBeVisible();
});

test('hides the cookie from scripts and keeps it to this site', async ({
  page,
  context,
  shape,
}) => {
  await page.goto('/');
  const [cookie] = await context.cookies();
  const production = shape === 'production';
  expect(cookie).toMatchObject({
    name: production ? '__Host-sid' : 'sid',
    secure: production,
    httpOnly: true,
    sameSite: 'Lax',
    path: '/',
    expires: -1,
  });
  expect(await page.evaluate(() => document.cookie)).toBe('');
});

test('refuses a wrong password, and keeps the email', DEVELOPMENT_ONLY, async ({ page }) => {
  await logIn(page, ADA.email, 'wrong');
  await expect(page.getByRole('alert')).toContainText('Wrong email or password.');
  await expect(page.getByLabel('Email')).toHaveValue(ADA.email);
  await expect(page.getByLabel('Password', { exact: true })).toBeFocused();
  await expect(page.getByLabel('Password', { exact: true })).toHaveValue('');
});

test('fills, changes and empties the cart', async ({ page }) => {
  await addToCart(page, 'Wool beret');
  await addToCart(page, 'Green duffle coat');
  await page.getByLabel('Quantity of Wool beret').fill('3');
  await page.getByRole('button', { name: 'Update Wool beret' }).click();
  await expect(page.getByText('Total €336.00')).toBeVisible();
  await page.getByRole('button', { name: 'Remove Green duffle coat' }).click();
  await expect(page.getByText('Total €117.00')).toBeVisible();
  await page.getByRole('button', { name: 'Empty the cart' }).click();
  await expect(page.getByText('Your cart is empty.')).toBeVisible();
});

test('shows nothing about the user when someone presses Back after log-out', async ({ page }) => {
  await logIn(page, ADA.email, ADA.password);
  await page.goto('/cart');
  await expect(page.getByText('Your account: ')).toBeAttached();
  await page.getByRole('button', { name: 'Log out' }).click();
  await expect(page.getByRole('link', { name: 'Log in' })).toBeVisible();
  await page.goBack();
  await expect(page.getByRole('link', { name: 'Log in' })).toBeVisible();
  await expect(page.getByText('Ada')).toHaveCount(0);
});

test('has a log-out page that a link can point to', DEVELOPMENT_ONLY, async ({ page }) => {
  await logIn(page, ADA.email, ADA.password);
  await page.goto('/logout');
  await page.getByRole('button', { name: 'Log out now' }).click();
  await expect(page.getByRole('link', { name: 'Log in' })).toBeVisible();
});

test('says why a quantity is refused, and keeps the cart', DEVELOPMENT_ONLY, async ({ page }) => {
  await addToCart(page, 'Wool beret');
  await page.getByLabel('Quantity of Wool beret').fill('99');
  await page.getByRole('button', { name: 'Update Wool beret' }).click();
  await page.goto('/');
  await page.getByRole('button', { name: 'Add Wool beret to cart' }).click();
  await expect(page.getByText(/at most 99 of each product.*Nothing was changed/)).toBeVisible();
  await expect(page.getByLabel('Quantity of Wool beret')).toHaveValue('99');
});

test('has a page for addresses that do not exist', DEVELOPMENT_ONLY, async ({ page }) => {
  const response = await page.goto('/nowhere');
  expect(response?.status()).toBe(404);
  await expect(page.getByRole('heading', { name: 'Not Found' })).toBeVisible();
  await page.getByRole('link', { name: 'Back to the shop' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toContainText('Hand in your coat');
});

test.describe('without JavaScript', () => {
  test.use({ javaScriptEnabled: false });

  test('everything works', async ({ page }) => {
    await addToCart(page, 'Felt fedora');
    await page.getByLabel('Quantity of Felt fedora').fill('2');
    await page.getByRole('button', { name: 'Update Felt fedora' }).click();
    await expect(page.getByText('Total €158.00')).toBeVisible();
    await logIn(page, ADA.email, ADA.password);
    await expect(page.getByText('Expires in: 1800 seconds')).toBeVisible();
    await page.getByRole('button', { name: 'Log out' }).click();
    await expect(page.getByRole('link', { name: 'Log in' })).toBeVisible();
  });
});

test('can be used by keyboard alone', DEVELOPMENT_ONLY, async ({ page }) => {
  const tabTo = async (name: string | RegExp) => {
    for (let presses = 0; presses < 40; presses++) {
      await page.keyboard.press('Tab');
      const text = await page.evaluate(() => {
        const { activeElement: focused } = document;
        return focused?.textContent || focused?.getAttribute('name') || '';
      });
      if (text.replace(/\s+/g, ' ').trim().match(name)) return;
    }
    throw new Error(`${name} cannot be reached by keyboard`);
  };
  await page.goto('/');
  await page.keyboard.press('Tab');
  await expect(page.getByRole('link', { name: 'Skip to content' })).toBeFocused();
  await expect(page.getByRole('link', { name: 'Skip to content' })).toBeInViewport();
  await page.keyboard.press('Enter');
  await tabTo('Add Sand trench coat to cart');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('status')).toHaveText('Sand trench coat added.');
  await tabTo(/^Log in$/);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { name: 'Log in' })).toBeVisible();
  await tabTo(/^email$/);
  await page.keyboard.type(ADA.email);
  await page.keyboard.press('Tab');
  await page.keyboard.type(ADA.password);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('status')).toHaveText('Welcome, Ada.');
  await tabTo(/^Log out$/);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('link', { name: 'Log in' })).toBeVisible();
});

test('loads nothing from another origin, violates none of its own policies and logs no error', async ({
  page,
  origin,
}) => {
  const elsewhere: string[] = [];
  const complaints: string[] = [];
  page.on('request', (request) => {
    if (!request.url().startsWith(origin)) elsewhere.push(request.url());
  });
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  for (const path of ['/', '/cart', '/login', '/logout', '/session', '/guide'])
    await page.goto(path);
  expect(elsewhere).toEqual([]);
  expect(complaints).toEqual([]);
});

test('is not shown in a frame of another site', async ({ page, origin }) => {
  await page.route('https://evil.test/', (route) =>
    route.fulfill({ contentType: 'text/html', body: `<iframe src="${origin}/"></iframe>` }),
  );
  await page.goto('https://evil.test/');
  await expect(page.frameLocator('iframe').getByText('Hand in your coat')).toHaveCount(0);
});

test('refuses a form from another site', async ({ page, origin }) => {
  await addToCart(page, 'Wool beret');
  await page.route('https://evil.test/', (route) =>
    route.fulfill({
      contentType: 'text/html',
      body: `<form method="post" action="${origin}/cart/clear"><button>Win a coat</button></form>`,
    }),
  );
  await page.goto('https://evil.test/');
  await page.getByRole('button').click();
  await expect(page.getByText('sent from another site')).toBeVisible();
  await page.goto('/cart');
  await expect(page.getByRole('heading', { name: 'Wool beret' })).toBeVisible();
});

test('every page is accessible and fits the screen', DEVELOPMENT_ONLY, async ({ page }) => {
  for (const path of ['/login', '/', '/cart', '/logout', '/nowhere']) {
    await page.goto(path);
    await checkPage(page);
  }
  await logIn(page, ADA.email, 'wrong');
  await checkPage(page);
  await logIn(page, ADA.email, ADA.password);
  await checkPage(page);
  await addToCart(page, 'Camel overcoat');
  await page.getByLabel('Quantity of Camel overcoat').fill('99');
  await page.getByRole('button', { name: 'Update Camel overcoat' }).click();
  await checkPage(page);
});

test(
  'the guide, the race lab and the session page are accessible and fit the screen',
  DEVELOPMENT_ONLY,
  async ({ page }) => {
    await page.goto('/session');
    await checkPage(page);
    await page.goto('/');
    for (const path of ['/session', '/guide', '/guide/lost-changes', '/lab']) {
      await page.goto(path);
      await checkPage(page);
    }
    for (const race of ['Add 20 hats at once', 'Run the log-out race', 'Add from two tabs']) {
      await page.getByRole('button', { name: race }).click();
      await expect(page.getByRole('status')).toContainText('This shop');
      await checkPage(page);
    }
  },
);
