import { expect, type Page } from 'playwright/test';
import { DEVELOPMENT_ONLY, logIn, stopTheClock, test } from '../test-support/shop-fixture.ts';
import { ADA } from '../test-support/start-shop.ts';

const main = { name: 'Main' };
const ticket = { name: 'Your ticket' };
const hat = { sku: 'bowler-hat' };

/** What the ticket says once the session has ended. */
const ended = (page: Page) => page.getByRole('complementary', ticket).getByRole('status');

const overflow = (page: Page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

/** Puts 99 of each product into the cart: the largest possible totals. */
async function fillTheCart(page: Page): Promise<void> {
  const { products } = await (await page.request.get('/', AS_JSON)).json();
  for (const { sku } of products)
    await page.request.post(`/cart/lines/${sku}`, { form: { quantity: 99 } });
}
const AS_JSON = { headers: { accept: 'application/json' } };

test(
  'every page fits a screen of 320, 390 and 1280 px, with the largest totals',
  DEVELOPMENT_ONLY,
  async ({ page }) => {
    const chapters = (await (await page.request.get('/guide', AS_JSON)).json()).chapters;
    const paths = [
      '/',
      '/cart',
      '/login',
      '/register',
      '/logout',
      '/session',
      '/guide',
      '/nowhere',
    ];
    paths.push(...chapters.map(({ slug }: { slug: string }) => `/guide/${slug}`));
    const sweep = async (pages: string[]) => {
      for (const path of pages) {
        await page.goto(path, { waitUntil: 'domcontentloaded' });
        for (const width of [1280, 390, 320]) {
          await page.setViewportSize({ width, height: 800 });
          expect(await overflow(page), `${path} at ${width} px`).toBeLessThanOrEqual(0);
        }
      }
    };
    await sweep(paths);
    await logIn(page, ADA.email, ADA.password);
    await fillTheCart(page);
    await page.goto('/cart');
    await page.getByRole('button', { name: 'Place the order' }).click();
    await expect(page.getByText('€141,570.00')).toBeVisible();
    const receipt = new URL(page.url()).pathname;
    await sweep([receipt, '/account', '/account/password', '/orders', '/session', '/']);
    await fillTheCart(page);
    await sweep(['/cart', '/lab']);
    await page.request.post('/cart/clear');
  },
);

test('the guide, the lab and the session can be reached from the shop without scrolling', async ({
  page,
  shape,
}) => {
  const lab = shape === 'development';
  await page.setViewportSize({ width: 320, height: 800 });
  await page.goto('/');
  const navigation = page.getByRole('navigation', main);
  await expect(navigation.getByRole('link')).toHaveText([
    'Shop',
    'Cart',
    'Guide',
    ...(lab ? ['Lab'] : []),
    'Your session',
  ]);
  for (const link of [
    ...(await navigation.getByRole('link').all()),
    page.getByRole('link', { name: 'Break a session' }),
    page.getByRole('link', { name: 'See yours' }),
  ])
    await expect(link).toBeInViewport({ ratio: 1 });
  await page.getByRole('link', { name: 'Break a session' }).click();
  await expect(page).toHaveURL(lab ? /\/lab$/ : /\/guide\/lost-changes$/);
  await page.goto('/');
  await page.getByRole('link', { name: 'See yours' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Your session');
  await page.goto('/guide/two-clocks');
  await expect(navigation.locator('[aria-current]')).toHaveText('Guide');
});

test(
  'nothing in the header of a narrow page moves when the cart fills',
  DEVELOPMENT_ONLY,
  async ({ page }) => {
    await page.setViewportSize({ width: 320, height: 800 });
    await page.goto('/');
    await page.goto('/'); // "Views: 2": "Welcome" is wider, and may wrap the ticket differently
    const places = () =>
      Promise.all([
        page.getByRole('heading', { level: 1 }).boundingBox(),
        page.getByRole('navigation', main).getByRole('link', { name: 'Guide' }).boundingBox(),
      ]);
    const empty = await places();
    for (const sku of ['bowler-hat', 'wool-beret'])
      await page.request.post(`/cart/lines/${sku}`, { form: { quantity: 99 } });
    await page.goto('/cart'); // shows the flash
    await page.goto('/');
    await expect(page.getByRole('navigation', main)).toContainText('198 items');
    expect(await places()).toEqual(empty);
  },
);

test(
  'under forced colors, only the current link is underlined',
  DEVELOPMENT_ONLY,
  async ({ page }) => {
    await page.emulateMedia({ forcedColors: 'active' });
    await page.goto('/cart');
    const lines = await page
      .getByRole('navigation', main)
      .getByRole('link')
      .evaluateAll((links) =>
        links.map((link) => {
          const { textDecorationLine, borderBottomStyle } = getComputedStyle(link);
          return [textDecorationLine, borderBottomStyle];
        }),
      );
    expect(lines.filter(([line, border]) => line !== 'none' || border !== 'none')).toHaveLength(1);
  },
);

test(
  'the toolbar covers nothing on a small or enlarged screen',
  DEVELOPMENT_ONLY,
  async ({ page }) => {
    const toolbar = page.getByRole('complementary', { name: 'toolbar' });
    for (const [width, height, stays] of [
      [390, 844, false],
      [320, 256, false], // 1280 by 1024 at 400 %
      [1280, 800, true],
    ] as const) {
      await page.setViewportSize({ width, height });
      await page.goto('/');
      const { y = 0 } = (await toolbar.boundingBox()) ?? {};
      expect(y < height, `${width} by ${height}`).toBe(stays);
    }
  },
);

test('a receipt on paper has no buttons', DEVELOPMENT_ONLY, async ({ page }) => {
  await logIn(page, ADA.email, ADA.password);
  await page.request.post('/cart/lines', { form: hat });
  await page.goto('/cart');
  await page.getByRole('button', { name: 'Place the order' }).click();
  await expect(page.getByRole('link', { name: 'Back to the shop' })).toBeVisible();
  await page.emulateMedia({ media: 'print' });
  await expect(page.getByRole('table')).toBeVisible();
  await expect(page.getByRole('button')).toHaveCount(0);
  for (const name of ['All your orders', 'Back to the shop', 'Cart'])
    await expect(page.getByRole('link', { name })).toHaveCount(0);
});

test(
  'in its last minute the ticket offers to keep the session, and keeps it',
  DEVELOPMENT_ONLY,
  async ({ page }) => {
    await stopTheClock(page);
    await page.request.post('/cart/lines', { form: hat });
    await page.goto('/register');
    await page.getByLabel('Name').fill('Half a na');
    const keep = page.getByRole('button', { name: 'Keep it' });
    await page.clock.runFor(1_739_000);
    await expect(page.getByText('Expires in: 61 seconds')).toBeVisible();
    await expect(keep).toBeHidden();
    await page.clock.runFor(1000);
    await expect(keep).toBeInViewport();
    await page.route('/login', (route) => route.abort(), { times: 1 }); // offline
    await Promise.all([page.waitForEvent('requestfailed'), keep.click()]);
    await expect(keep).toBeEnabled();
    await keep.click();
    await expect(page.getByText('Expires in: 1800 seconds')).toBeVisible();
    await expect(keep).toBeHidden();
    await expect(page.getByLabel('Name')).toHaveValue('Half a na');
  },
);

test(
  'the ticket says so when the session cannot be kept, or has already ended',
  DEVELOPMENT_ONLY,
  async ({ page }) => {
    await stopTheClock(page);
    for (const [session, name] of [
      [{ stored: true, expiresInSeconds: 20 }, 'Only a new log-in extends it'],
      [{ stored: false }, undefined],
    ] as const) {
      await page.route('/login', (route) => route.fulfill({ json: { user: null, session } }));
      await page.goto('/');
      await page.clock.runFor(1_780_000);
      await page.getByRole('button', { name: 'Keep it' }).click();
      if (name) await expect(page.getByRole('button', { name })).toBeDisabled();
      else await expect(ended(page)).toContainText('This session has ended.');
    }
  },
);

test(
  'a request from another tab restarts the clock in this one',
  DEVELOPMENT_ONLY,
  async ({ page, context }) => {
    await stopTheClock(page);
    await page.goto('/');
    await page.waitForLoadState();
    await page.clock.runFor(1_790_000);
    await expect(page.getByRole('button', { name: 'Keep it' })).toBeVisible();
    const other = await context.newPage();
    await other.goto('/cart');
    await page.clock.runFor(1000);
    await expect(page.getByText(/Expires in: 1[78]\d\d seconds/)).toBeVisible();
  },
);

test(
  'when a guest’s session ends, the ticket says that the cart is gone, and no button works',
  DEVELOPMENT_ONLY,
  async ({ page, context }) => {
    await stopTheClock(page);
    await page.request.post('/cart/lines', { form: hat });
    await page.goto('/cart');
    await page.clock.runFor(1_801_000);
    await expect(ended(page)).toContainText('has ended. Your cart ended with it.');
    await expect(page.getByRole('complementary', ticket).getByText('Expires in')).toBeHidden();
    for (const button of await page.getByRole('main').getByRole('button').all())
      await expect(button).toBeDisabled();
    await context.clearCookies(); // as if the session were gone
    await page.getByRole('link', { name: 'Start a new one' }).click();
    await expect(page.getByText('Your cart is empty.')).toBeVisible();
  },
);

test(
  'when a user’s session ends, the ticket says that the cart is kept, and links to the log-in that leads back to it',
  DEVELOPMENT_ONLY,
  async ({ page, context }) => {
    await stopTheClock(page);
    await logIn(page, ADA.email, ADA.password);
    await page.request.post('/cart/lines', { form: hat });
    await page.goto('/cart');
    await page.clock.runFor(1_801_000);
    await expect(ended(page)).toContainText('Your cart is kept.');
    await expect(page.getByRole('button', { name: 'Log out' })).toBeDisabled();
    await context.clearCookies();
    await page.getByRole('link', { name: 'Log in again' }).click();
    await expect(page.getByText('Log in to check out. You keep your cart.')).toBeVisible();
    await page.getByLabel('Email').fill(ADA.email);
    await page.getByLabel('Password', { exact: true }).fill(ADA.password);
    await page.getByRole('button', { name: 'Log in' }).click();
    await expect(page.getByRole('heading', { name: 'Bowler hat' })).toBeVisible();
    await page.request.post('/cart/clear');
  },
);

test(
  'a lost session is shown as a notice, not as a success',
  DEVELOPMENT_ONLY,
  async ({ page, context }) => {
    await page.goto('/');
    const [cookie] = await context.cookies();
    const value = `s%3A${'x'.repeat(43)}.${'y'.repeat(43)}`;
    await context.addCookies([{ ...(cookie as NonNullable<typeof cookie>), value }]);
    await page.goto('/');
    const said = page.getByRole('status');
    await expect(said).toContainText('Your last session has ended.');
    await expect(said).toContainText('An account’s cart is kept');
    await expect(said).toHaveClass('notice');
  },
);

for (const javaScriptEnabled of [true, false])
  test.describe(javaScriptEnabled ? 'with JavaScript' : 'without JavaScript', () => {
    test.use({ javaScriptEnabled });

    test('the shop confirms a log-out, and only once', DEVELOPMENT_ONLY, async ({ page }) => {
      await page.goto('/');
      await expect(page.getByText('You are logged out.')).toBeHidden();
      await logIn(page, ADA.email, ADA.password);
      await page.getByRole('button', { name: 'Log out' }).click();
      await expect(page.getByRole('status')).toHaveText('You are logged out.');
      await expect(page.getByRole('link', { name: 'Cloakroom' })).toBeInViewport();
      await page.getByRole('navigation', main).getByRole('link', { name: 'Shop' }).click();
      await expect(page.getByText('You are logged out.')).toBeHidden();
      await logIn(page, ADA.email, ADA.password);
      await page.goto('/logout');
      await page.getByRole('button', { name: 'Log out now' }).click();
      await expect(page.getByRole('status')).toHaveText('You are logged out.');
    });

    test(
      'a guest who opens the account page is told why to log in',
      DEVELOPMENT_ONLY,
      async ({ page }) => {
        await page.goto('/account');
        await expect(page.getByText('Log in to see your account.')).toBeVisible();
        await page.goto('/orders');
        await expect(page.getByText('Log in to see your orders.')).toBeVisible();
        await page.goto('/login');
        await expect(page.getByText(/Log in to/)).toHaveCount(0);
      },
    );

    test('one click logs in as a demo account, in development only', async ({ page, shape }) => {
      await page.goto('/account');
      const grace = page.getByRole('button', { name: 'Continue as Grace' });
      if (shape === 'production') return expect(grace).toHaveCount(0);
      await grace.click();
      await expect(page.getByRole('heading', { name: 'Your account' })).toBeVisible();
      await expect(page.getByRole('status')).toHaveText('Welcome, Grace.');
    });
  });

test(
  'the number in the title of a chapter is the number that the lab shows',
  DEVELOPMENT_ONLY,
  async ({ page }) => {
    await page.goto('/guide/lost-changes');
    const [number] = (await page.title()).split(' ');
    await page.goto('/lab');
    await expect(page.getByRole('heading', { name: `${number} adds at once` })).toBeVisible();
  },
);
