// What a real browser does with the session cookie, by its attributes.
import { readFileSync } from 'node:fs';
import type { ServerOptions } from 'node:https';
import express from 'express';
import { expect, test } from 'playwright/test';
import { forChanges, refuseCrossSite } from '../app/http/refuse-cross-site.ts';
import {
  memoryBackend,
  type SessionCookie,
  sessionMiddleware,
  updateSession,
} from '../app/session/index.ts';
import { makeCertificate } from '../test-support/certificate.ts';
import { chromiumOptions } from '../test-support/chromium.ts';
import { listen } from '../test-support/listen.ts';
import { tempDir } from '../test-support/temp-dir.ts';

const stack = new AsyncDisposableStack();
let tls: ServerOptions;
test.beforeAll(async () => {
  const { keyFile, certFile } = await makeCertificate(stack.use(await tempDir('tls')).path);
  tls = { key: readFileSync(keyFile), cert: readFileSync(certFile) };
});
test.afterAll(() => stack.disposeAsync());

/** Serves an app over HTTPS under a host name, and returns its origin. */
async function serve(app: express.Express, host: string): Promise<string> {
  const site = await listen(app, tls);
  stack.defer(site.close);
  return `https://${host}:${site.port}`;
}

const chromium = chromiumOptions({ needsWhole: true });
const args = [
  '--host-resolver-rules=MAP *.test 127.0.0.1',
  '--test-third-party-cookie-phaseout', // blocks them, as other browsers do
];
test.use({ launchOptions: { ...chromium, args: [...chromium.args, ...args] } });

const lax = { path: '/', httpOnly: true, secure: true, sameSite: 'lax' } as const;
const partitioned = { ...lax, sameSite: 'none', partitioned: true } as const;

/** An app that counts each POST, unless it comes from another site. */
function counter(attributes: SessionCookie['attributes'], name = 'sid') {
  const app = express();
  app.use(
    sessionMiddleware({
      backend: memoryBackend(),
      secrets: ['a secret'],
      cookie: { name, attributes },
      idleMs: 60_000,
      absoluteMs: 60_000,
    }),
    forChanges(refuseCrossSite),
  );
  app.get('/{*path}', ({ session }, res) =>
    res.send(
      `<title>Counter</title>${session ? `Views: ${session.views}` : 'No session'}
      <form method="post"><button>Count</button></form>`,
    ),
  );
  app.post('/{*path}', async (req, res) => {
    await updateSession(req, (draft) => {
      draft.views += 1;
    });
    res.redirect(303, req.path);
  });
  app.use(((error: Error, _req, res, _next) => {
    res.status(403).send(error.message);
  }) satisfies express.ErrorRequestHandler);
  return app;
}

/** A page that shows other sites inside it, and sends a form to the first of them. */
function embedding(...origins: string[]) {
  const app = express();
  const frames = origins.map((origin) => `<iframe src="${origin}/"></iframe>`).join('');
  app.get('/', (_req, res) =>
    res.send(`<form method="post" action="${origins[0]}/"><button>Attack</button></form>${frames}`),
  );
  return app;
}

test('inside another site, only a partitioned cookie with SameSite=None keeps the session', async ({
  page,
}) => {
  const app = await serve(counter(partitioned), 'app.test');
  const unpartitioned = await serve(counter({ ...lax, sameSite: 'none' }), 'unpartitioned.test');
  const usual = await serve(counter(lax), 'lax.test');
  const [one, two] = [
    await serve(embedding(app, unpartitioned, usual), 'one.test'),
    await serve(embedding(app), 'two.test'),
  ];
  const frame = (n: number) => page.locator('iframe').nth(n).contentFrame();
  const count = async (n: number) => {
    const next = page.waitForEvent('framenavigated');
    await frame(n).getByRole('button').click();
    await next;
  };

  await page.goto(one);
  for (const n of [0, 0, 1, 1, 2, 2]) await count(n);
  await page.reload();
  await expect(frame(0).getByText('Views: 2')).toBeVisible();
  for (const n of [1, 2]) await expect(frame(n).getByText('Views: 0')).toBeVisible();

  // Each embedding site, and the app in a tab of its own, has its own session.
  await page.goto(two);
  await expect(frame(0).getByText('Views: 0')).toBeVisible();
  await page.goto(app);
  await expect(page.getByText('Views: 0')).toBeVisible();
});

test('a form on another site is refused although the browser sends the SameSite=None cookie with it', async ({
  page,
}) => {
  const app = await serve(counter(partitioned), 'app.test');
  const evil = await serve(embedding(app), 'evil.test');
  await page.goto(app);
  await page.getByRole('button').click();
  await expect(page.getByText('Views: 1')).toBeVisible();
  await page.goto(evil);
  const sent = page.waitForRequest((request) => request.method() === 'POST');
  await page.getByRole('button', { name: 'Attack' }).click();
  expect((await (await sent).allHeaders()).cookie).toContain('sid=');
  await expect(page.getByText('This form was sent from another site')).toBeVisible();
  await page.goto(app);
  await expect(page.getByText('Views: 1')).toBeVisible();
});

test('a cookie with a domain reaches its subdomains, and one with a path only the pages below it', async ({
  page,
}) => {
  const app = await serve(counter({ ...lax, domain: 'shop.test', path: '/app' }), 'www.shop.test');
  await page.goto(`${app}/app`);
  await page.getByRole('button').click();
  await expect(page.getByText('Views: 1')).toBeVisible();
  await page.goto(`${app.replace('www', 'help')}/app/cart`);
  await expect(page.getByText('Views: 1')).toBeVisible();
  await page.goto(`${app}/apple`);
  await expect(page.getByText('No session')).toBeVisible();
});

test('a cookie that changes its domain needs a new name: the browser also sends the old one, and sends it first', async ({
  page,
}) => {
  // Browsers do not tell ports apart, so these are one site before and after a change.
  const before = await serve(counter({ ...lax, domain: 'shop.test' }), 'www.shop.test');
  const sameName = await serve(counter(lax), 'www.shop.test');
  const newName = await serve(counter(lax, '__Host-sid'), 'www.shop.test');
  for (const [app, views] of [
    [before, 1],
    [sameName, 0],
    [newName, 1],
  ] as const) {
    await page.goto(app);
    const next = page.waitForEvent('framenavigated');
    await page.getByRole('button').click();
    await next;
    await expect(page.getByText(`Views: ${views}`)).toBeVisible();
  }
});
