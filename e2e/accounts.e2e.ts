import { type Browser, expect, type Page } from 'playwright/test';
import { checkPage } from '../test-support/screens.ts';
import { addToCart, DEVELOPMENT_ONLY, logIn, test } from '../test-support/shop-fixture.ts';

const PASSWORD = 'a coat, a hat, an umbrella';
const FIREFOX = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0';

let people = 0;

/** Registers somebody new in this browser. */
async function register(page: Page): Promise<string> {
  const email = `person-${process.pid}-${++people}@example.test`;
  await page.goto('/register');
  await page.getByLabel('Email').fill(email);
  await page.getByLabel('Name').fill('Maximiliane von und zu Regenstein');
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByRole('button', { name: 'Register' }).click();
  return email;
}

/** The same person in a second browser. */
async function secondBrowser(browser: Browser, origin: string, email: string): Promise<Page> {
  const context = await browser.newContext({
    baseURL: origin,
    userAgent: FIREFOX,
    ignoreHTTPSErrors: true,
  });
  const page = await context.newPage();
  await logIn(page, email, PASSWORD);
  return page;
}

test('registers, is welcomed and finds the cart merged, with an Undo', async ({ page }) => {
  await addToCart(page, 'Bowler hat');
  await register(page);
  await expect(page.getByText('Your account is ready.')).toBeVisible();
  await expect(page.getByText('1 item from this device was added to your cart.')).toBeVisible();
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(page.getByText('Your cart is empty.')).toBeVisible();
  await expect(page.getByRole('button', { name: 'Undo' })).toHaveCount(0);
});

test(
  'says why a password is refused, and keeps the rest of the form',
  DEVELOPMENT_ONLY,
  async ({ page }) => {
    await page.goto('/register');
    await page.getByLabel('Email').fill('refused@example.test');
    await page.getByLabel('Name').fill('Regenstein');
    await page.getByLabel('Password', { exact: true }).fill('regenstein-regenstein');
    await page.getByRole('button', { name: 'Register' }).click();
    await expect(page.getByRole('alert')).toContainText(
      'The password must not contain “regenstein”',
    );
    await expect(page.getByLabel('Email')).toHaveValue('refused@example.test');
    await expect(page.getByLabel('Password', { exact: true })).toHaveValue('');
  },
);

test(
  'shows the password on request, and accepts a pasted one',
  DEVELOPMENT_ONLY,
  async ({ page }) => {
    await page.goto('/login');
    const field = page.getByLabel('Password', { exact: true });
    await field.focus();
    await page.keyboard.insertText('pasted-in');
    await expect(field).toHaveAttribute('type', 'password');
    const show = page.getByRole('button', { name: 'Show', exact: true });
    await show.click();
    await expect(field).toHaveAttribute('type', 'text');
    await expect(field).toHaveValue('pasted-in');
    await expect(show).toHaveAttribute('aria-pressed', 'true'); // and the label does not change
    await show.click();
    await expect(show).toHaveAttribute('aria-pressed', 'false');
    await expect(field).toHaveAttribute('type', 'password');
  },
);

test('one browser ends another’s session, and the open page there says so before it is touched', async ({
  page,
  browser,
  origin,
}) => {
  const email = await register(page);
  const other = await secondBrowser(browser, origin, email);
  await other.goto('/account');

  await page.goto('/account');
  await expect(page.getByRole('heading', { name: /Firefox on Windows/ })).toBeVisible();
  await page.getByRole('button', { name: /^End the session of Firefox on Windows/ }).click();
  await expect(page.getByRole('status')).toHaveText('Session ended.');
  await expect(page.getByRole('heading', { name: /Firefox on Windows/ })).toHaveCount(0);

  await expect(other.getByText('Your session was ended elsewhere.')).toBeVisible();
  await expect(other.getByRole('heading', { name: 'Your account' })).toBeVisible();
  await other.evaluate(() => window.dispatchEvent(new Event('focus')));
  await expect(other.getByRole('heading', { name: 'Log in' })).toBeVisible();
  await expect(other.getByText('You were logged out here')).toBeVisible();
  await expect(other.getByText('Maximiliane')).toHaveCount(0);
  await other.context().close();
});

test(
  'a page that regains the focus does not change while the session lives',
  DEVELOPMENT_ONLY,
  async ({ page }) => {
    await register(page);
    await page.goto('/account/password');
    await page.getByLabel('Current password').fill('half a pass');
    const response = page.waitForResponse('/login');
    await page.evaluate(() => window.dispatchEvent(new Event('focus')));
    await response;
    await expect(page.getByLabel('Current password')).toHaveValue('half a pass');
  },
);

test('changes the password: the other browser is logged out, this one is not', async ({
  page,
  browser,
  origin,
}) => {
  const email = await register(page);
  const other = await secondBrowser(browser, origin, email);
  await page.getByRole('link', { name: /Maximiliane/ }).click();
  await page.getByRole('link', { name: 'Change password' }).click();
  await page.getByLabel('Current password').fill(PASSWORD);
  await page.getByLabel('New password').fill('an umbrella, a hat, a coat');
  await page.getByRole('button', { name: 'Change password' }).click();
  await expect(page.getByRole('status')).toContainText('Password changed.');
  await expect(page.getByRole('heading', { name: /this browser/ })).toBeVisible();
  await other.goto('/account');
  await expect(other.getByRole('heading', { name: 'Log in' })).toBeVisible();
  await other.context().close();
});

test('sends a guest from the cart to the log-in page and back, and places one order', async ({
  page,
}) => {
  const email = await register(page);
  await page.getByRole('button', { name: 'Log out' }).click();
  await expect(page.getByRole('link', { name: 'Log in' })).toBeVisible();
  await addToCart(page, 'Wool beret');
  await page.getByRole('button', { name: 'Check out' }).click();
  await page.getByLabel('Email').fill(email);
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByRole('button', { name: 'Log in' }).click();
  await expect(page).toHaveURL(/\/cart$/);
  const tab = await page.context().newPage();
  await tab.goto('/cart');
  for (const each of [page, tab]) {
    await each.getByRole('button', { name: 'Place the order' }).click();
    await expect(each.getByRole('heading', { name: 'Your order' })).toBeVisible();
  }
  expect(tab.url()).toBe(page.url());
  await page.getByRole('link', { name: 'All your orders' }).click();
  await expect(page.getByRole('listitem')).toHaveCount(1);
});

test('leaves no trace of the cart on a shared computer after log-out', async ({ page }) => {
  await register(page);
  await addToCart(page, 'Camel overcoat');
  await expect(page.getByRole('heading', { name: 'Camel overcoat' })).toBeVisible();
  await page.getByRole('button', { name: 'Log out' }).click();
  await expect(page.getByRole('link', { name: 'Log in' })).toBeVisible();
  await page.goto('/cart');
  await expect(page.getByText('Your cart is empty.')).toBeVisible();
  await page.goBack();
  await page.goBack();
  await expect(page.getByText('Maximiliane')).toHaveCount(0);
  await expect(page.getByRole('link', { name: 'Cart', exact: true })).toBeVisible();
});

test.describe('without JavaScript, by keyboard alone', () => {
  test.use({ javaScriptEnabled: false });

  test(
    'ends another session, changes the password and orders',
    DEVELOPMENT_ONLY,
    async ({ page, browser, origin }) => {
      const press = async (name: RegExp) => {
        for (let tab = 0; tab < 80; tab++) {
          await page.keyboard.press('Tab');
          const [text = ''] = await page.locator(':focus').allTextContents();
          if (name.test(text.trim())) return page.keyboard.press('Enter');
        }
        throw new Error(`Nothing named ${name} can be reached`);
      };
      const email = await register(page);
      const other = await secondBrowser(browser, origin, email);
      await page.goto('/account');
      await press(/^End all other sessions$/);
      await expect(page.getByRole('status')).toHaveText('All other sessions ended.');
      await press(/^Change password$/);
      await expect(page).toHaveURL(/password$/);
      await page.getByLabel('Current password').focus();
      await page.keyboard.type(PASSWORD);
      await page.keyboard.press('Tab');
      await page.keyboard.type('an umbrella, a hat, a coat');
      await page.keyboard.press('Enter');
      await expect(page.getByRole('status')).toContainText('Password changed.');
      await page.goto('/');
      await press(/^Add Bowler hat to cart$/);
      await expect(page.getByText('Bowler hat added.')).toBeVisible();
      await press(/^Cart/);
      await expect(page).toHaveURL(/\/cart$/);
      await press(/^Place the order$/);
      await expect(page.getByRole('status')).toHaveText('Thank you. Your order is placed.');
      await other.context().close();
    },
  );
});

test(
  'every page of an account is accessible and fits the screen',
  DEVELOPMENT_ONLY,
  async ({ page, browser, origin }) => {
    await addToCart(page, 'Bowler hat');
    await page.goto('/register');
    await checkPage(page);
    const email = await register(page);
    const other = await secondBrowser(browser, origin, email);
    for (const path of ['/', '/account', '/account/password', '/orders', '/cart']) {
      await page.goto(path);
      await checkPage(page);
    }
    await page.getByRole('button', { name: 'Place the order' }).click();
    await checkPage(page);
    await page.goto('/orders');
    await checkPage(page);
    await page.goto('/account/password');
    await page.getByLabel('Current password').fill('wrong');
    await page.getByLabel('New password').fill('an umbrella, a hat, a coat');
    await page.getByRole('button', { name: 'Change password' }).click();
    await expect(page.getByRole('alert')).toContainText('Wrong password.');
    await checkPage(page);
    await other.context().close();
  },
);
