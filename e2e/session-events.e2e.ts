import { expect, type Page, type Request } from 'playwright/test';
import { checkPage } from '../test-support/screens.ts';
import { DEVELOPMENT_ONLY, logIn, test } from '../test-support/shop-fixture.ts';
import { ADA } from '../test-support/start-shop.ts';

const said = (page: Page) =>
  page.getByRole('complementary', { name: 'Your ticket' }).getByRole('status');

/** Hides the page, or shows it again, as if its tab were switched. */
const show = (page: Page, visibility: 'visible' | 'hidden') =>
  page.evaluate((state) => {
    Object.defineProperty(document, 'visibilityState', { configurable: true, value: state });
    document.dispatchEvent(new Event('visibilitychange'));
  }, visibility);

test('eight open pages share one stream, and each says that the session has ended', async ({
  page,
  context,
  shape,
}) => {
  const open = new Set<Request>();
  context.on('request', (request) => {
    if (request.resourceType() === 'eventsource') open.add(request);
  });
  context.on('requestfinished', (request) => open.delete(request));
  context.on('requestfailed', (request) => open.delete(request));
  const holders = () => [...open].map((request) => pages.indexOf(request.frame().page()));
  const pages = [page];
  await logIn(page, ADA.email, ADA.password);
  await expect.poll(holders).toEqual([0]);
  for (const path of ['/', '/cart', '/account', '/orders', '/guide', '/login', '/session']) {
    const next = await context.newPage();
    await next.goto(path); // over HTTP/1.1 a sixth stream would block it
    pages.push(next);
  }
  await expect.poll(holders).toEqual([0]);

  await show(page, 'hidden'); // another page takes over
  await expect.poll(() => holders().join()).toMatch(/^[1-7]$/);
  await show(page, 'visible');
  for (const path of ['/cart', '/orders', '/']) await page.goto(path); // from page to page
  await expect.poll(() => holders().join()).toMatch(/^[1-7]$/);

  const tops = await Promise.all(pages.map(topOfMain));
  await context.request.post('/logout');
  for (const [n, each] of pages.entries()) {
    await expect(said(each)).toContainText('You are logged out. Your cart is kept.');
    expect(Math.abs((await topOfMain(each)) - (tops[n] ?? Number.NaN))).toBeLessThan(2);
  }
  if (shape === 'development') await checkPage(page);
  await said(page).getByRole('link', { name: 'Log in again' }).click();
  await expect(page.getByRole('heading', { name: 'Log in' })).toBeVisible();
});

test(
  'a page stays as it is when its user gets a new session, and says so when another user logs in',
  DEVELOPMENT_ONLY,
  async ({ page, context }) => {
    await logIn(page, ADA.email, ADA.password);
    await expect(page.getByText('Welcome, Ada.')).toBeVisible();
    const logInAs = (email: string, password: string) =>
      context.request.post('/login', { form: { email, password } });
    const opened = () => page.waitForResponse('/session/events');
    const again = opened();
    await logInAs(ADA.email, ADA.password);
    await again;
    await expect(said(page)).toBeHidden();
    await logInAs('grace@cloakroom.test', 'nanosecond-wire');
    await expect(said(page)).toContainText('Another user has logged in.');
  },
);

test(
  'a page stays as it is when a log-in is not complete yet as it asks, and follows the new session',
  DEVELOPMENT_ONLY,
  async ({ page, context }) => {
    const isStream = (request: Request) => request.resourceType() === 'eventsource';
    const nextStream = () => page.waitForResponse((response) => isStream(response.request()));
    const first = nextStream();
    await logIn(page, ADA.email, ADA.password);
    await first;
    let streams = 0;
    let answers = 0;
    // Until the browser has the new cookie, the server knows no user.
    await page.route('/session/events', (route) => {
      const body = 'data: {}\n\ndata: {"ended":"ended"}\n\n';
      if (isStream(route.request()))
        return streams++
          ? route.continue()
          : route.fulfill({ contentType: 'text/event-stream', body });
      return answers++ < 2 ? route.fulfill({ json: { user: null } }) : route.continue();
    });
    const logInAs = (email: string, password: string) =>
      context.request.post('/login', { form: { email, password } });
    await logInAs(ADA.email, ADA.password);
    await expect.poll(() => streams).toBe(2);
    await expect(said(page)).toBeHidden();
    await logInAs('grace@cloakroom.test', 'nanosecond-wire');
    await expect(said(page)).toContainText('Another user has logged in.');
  },
);

test(
  'a page that said that its user is logged out goes on when the user is back',
  DEVELOPMENT_ONLY,
  async ({ page, context }) => {
    await page.setViewportSize({ width: 390, height: 800 });
    await logIn(page, ADA.email, ADA.password);
    const top = await topOfMain(page);
    const add = page.getByRole('main').getByRole('button').first();
    const logInAs = (email: string, password: string) =>
      context.request.post('/login', { form: { email, password } });
    for (const leave of [
      () => context.request.post('/logout'),
      () => logInAs('grace@cloakroom.test', 'nanosecond-wire'),
    ]) {
      await leave();
      await expect(said(page)).toContainText(/You are logged out|Another user has logged in/);
      await expect(add).toBeDisabled();
      await logInAs(ADA.email, ADA.password);
      await page.evaluate(() => dispatchEvent(new Event('focus')));
      await expect(said(page)).toBeHidden();
      await expect(add).toBeEnabled();
      expect(Math.abs((await topOfMain(page)) - top)).toBeLessThan(2);
    }
  },
);

test(
  'a page stays as it is while the server does not say who is logged in',
  DEVELOPMENT_ONLY,
  async ({ page }) => {
    await logIn(page, ADA.email, ADA.password);
    let streams = 0;
    await page.route('/session/events', (route) => {
      if (route.request().resourceType() !== 'eventsource') return route.fulfill({ status: 503 });
      streams += 1;
      return route.fulfill({
        contentType: 'text/event-stream',
        body: 'data: {}\n\ndata: {"ended":"ended"}\n\n',
      });
    });
    await page.goto('/');
    await expect.poll(() => streams).toBeGreaterThan(1); // it asks for the stream again
    await expect(said(page)).toBeHidden();
  },
);

test(
  'a guest’s page follows the session of a user who has logged in elsewhere, once it shows that user',
  DEVELOPMENT_ONLY,
  async ({ page, context }) => {
    await page.goto('/');
    await context.request.post('/login', { form: ADA });
    await page.getByRole('main').getByRole('button').first().click();
    await expect(page.getByRole('link', { name: 'Your account: Ada' })).toBeVisible();
    await context.request.post('/logout');
    await expect(said(page)).toContainText('You are logged out.');
  },
);

test('the page of a guest opens no stream', DEVELOPMENT_ONLY, async ({ page }) => {
  const streams: string[] = [];
  page.on('request', (request) => {
    if (request.resourceType() === 'eventsource') streams.push(request.url());
  });
  await page.goto('/');
  await page.goto('/cart', { waitUntil: 'networkidle' });
  expect(streams).toEqual([]);
});

const topOfMain = async (page: Page) =>
  (await page.getByRole('main').boundingBox())?.y ?? Number.NaN;
