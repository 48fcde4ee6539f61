import { expect } from 'playwright/test';
import { DEVELOPMENT_ONLY, logIn, stopTheClock, test } from '../test-support/shop-fixture.ts';
import { ADA } from '../test-support/start-shop.ts';

test('the ticket opens the X-ray, whose clocks run down', DEVELOPMENT_ONLY, async ({ page }) => {
  await stopTheClock(page);
  await page.goto('/');
  await page.getByRole('link', { name: '№' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Your session');
  await expect(page.getByRole('region', { name: 'The stored document' })).toContainText(
    '"views": 1',
  );
  const idle = page.getByRole('progressbar', { name: 'Idle clock' });
  await expect(idle).toHaveJSProperty('value', 1800);
  await page.waitForLoadState(); // its script has to run, too
  await page.clock.runFor(2000);
  await expect(idle).toHaveJSProperty('value', 1798);
  await expect(page.getByText('29 min 58 s left of 30 min')).toBeVisible();
});

test(
  'the X-ray that somebody looks at tells the user’s other pages about other requests',
  DEVELOPMENT_ONLY,
  async ({ page, context }) => {
    await logIn(page, ADA.email, ADA.password);
    const xray = await context.newPage();
    await xray.goto('/session');
    await page.evaluate(() => {
      new BroadcastChannel('session-clock').onmessage = ({ data }) => {
        document.title = JSON.stringify(data);
      };
    });
    await context.request.get('/cart');
    await expect(page).toHaveTitle(/^\{"user":"acct_ada","seconds":1[78]\d\d\}$/);
  },
);

test('the toolbar appears in development only, and links to the X-ray', async ({ page, shape }) => {
  await page.goto('/');
  const toolbar = page.getByRole('complementary', { name: 'Toolbar' });
  if (shape === 'production') return expect(toolbar).toHaveCount(0);
  await expect(toolbar).toContainText('created · stored v1: views');
  await toolbar.getByRole('link', { name: 'Your session' }).click();
  await expect(page).toHaveURL(/\/session$/);
});

test(
  'the navigation leads to the guide, chapter by chapter',
  DEVELOPMENT_ONLY,
  async ({ page }) => {
    await page.goto('/');
    await page.getByRole('link', { name: 'Guide', exact: true }).click();
    await page.getByRole('link', { name: 'What a session is' }).click();
    for (let chapters = 1; chapters < 14; chapters++)
      await page.getByRole('navigation', { name: 'Chapters' }).getByRole('link').last().click();
    await expect(page.getByRole('heading', { level: 1 })).toHaveText(
      'When a token is the better answer',
    );
  },
);

test('while the page “Your session” is open, it shows what another page does', async ({ page }) => {
  await page.goto('/');
  await page.goto('/session');
  const stored = page.getByRole('region', { name: 'The stored document' });
  await expect(stored).not.toContainText('wool-beret');
  await page.request.post('/cart/lines', { form: { sku: 'wool-beret' } });
  await expect(stored).toContainText('"wool-beret": 1');
});

test(
  'the guide leads to the place in the source, and its code can be copied',
  DEVELOPMENT_ONLY,
  async ({ page, context }) => {
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.goto('/guide/the-id-at-log-in');
    await page.getByRole('button', { name: 'Copy: renew' }).click();
    await expect(page.getByRole('button', { name: 'Copied: renew' })).toBeVisible();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toContain('function renew(');
    await page.getByRole('link', { name: 'app/session-tests/session-contract.test.ts' }).click();
    const h1 = page.getByRole('heading', { level: 1 });
    await expect(h1).toHaveText('app/session-tests/session-contract.test.ts');
    const named = 'gets a new id at log-in, and the old id stops working';
    await expect(page.getByText(named)).toBeInViewport();
  },
);

test.describe('without JavaScript', () => {
  test.use({ javaScriptEnabled: false });

  test('the race lab shows what happened; production has no race lab', async ({ page, shape }) => {
    const response = await page.goto('/lab');
    if (shape === 'production') return expect(response?.status()).toBe(404);
    await page.getByRole('button', { name: 'Add 20 hats at once' }).click();
    await expect(page.getByText('20 of 20 hats kept')).toBeVisible();
    await page.getByRole('button', { name: 'Run the log-out race' }).click();
    await expect(page.getByText('The visitor is logged in again.')).toBeVisible();
    await expect(page.getByText('The visitor stays logged out.')).toBeVisible();
    await page.getByRole('button', { name: 'Add from two tabs' }).click();
    await expect(page.getByText('2 of 2 items kept')).toBeVisible();
    await expect(page.getByText('20 of 20 hats kept')).toBeVisible();
    await page.goto('/');
    await page.goto('/lab');
    await page.getByRole('button', { name: 'Take the store down for me' }).click();
    await expect(page.getByRole('heading', { name: 'Service Unavailable' })).toBeVisible();
    await expect(page.getByRole('status')).toHaveText('The store is back, and nothing was lost.');
    await expect(page.getByRole('heading', { name: 'The race lab' })).toBeVisible();
    await page.getByRole('link', { name: '№' }).click();
    await expect(page.getByText('get, failed').first()).toBeVisible();
  });
});
