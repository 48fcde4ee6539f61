import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import express, { type RequestHandler } from 'express';
import { httpClient } from '../../test-support/http-client.ts';
import { listen } from '../../test-support/listen.ts';
import { PAGE, startShop } from '../../test-support/start-shop.ts';
import { createLog } from '../observe/log.ts';
import { createMetrics } from '../observe/metrics.ts';
import { requestLog } from '../observe/request-log.ts';
import { memoryBackend } from '../session/index.ts';
import { decideFormat } from './decide-format.ts';
import { errorHandler } from './error-handler.ts';
import { Refusal } from './refusal.ts';

async function serve(t: TestContext, handler: RequestHandler) {
  const lines: string[] = [];
  const log = createLog('info', { write: (line) => lines.push(line) });
  const app = express();
  app.use(requestLog({ log, metrics: createMetrics(), secret: '' }), decideFormat, handler);
  const pages = { show: async () => {}, showHtml: async () => {} };
  app.use(
    errorHandler({ log, audit: () => {}, pages, wayBack: () => undefined, showFaults: false }),
  );
  const { origin, close } = await listen(app);
  t.after(close);
  return { visitor: httpClient(origin), log: () => lines.map((line) => JSON.parse(line)) };
}

it('overload is not logged as a fault: each refusal gets its usual line, and warnings count them', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { visitor, log } = await serve(t, () => {
    throw new Refusal(503, 'Too many people are logging in right now.');
  });
  for (let n = 0; n < 20; n++) assert.equal((await visitor.get('/')).status, 503);
  t.mock.timers.tick(60_000);
  t.mock.timers.tick(60_000);
  assert.ok(log().every(({ err, level }) => err === undefined && level < 50));
  const warnings = log().filter(({ level }) => level === 40);
  assert.deepEqual(
    warnings.map(({ event, count, msg }) => [event, count, msg]),
    [
      ['busy', 1, 'Responded with 503: Too many people are logging in right now.'],
      ['busy', 19, 'Responded with 503: Too many people are logging in right now.'],
    ],
  );
  await visitor.get('/');
  assert.equal(log().filter(({ level }) => level === 40).length, 3);
});

it('a fault is logged with its stack', async (t) => {
  const { visitor, log } = await serve(t, () => {
    throw new Error('broken');
  });
  assert.equal((await visitor.get('/')).status, 500);
  const [line] = log().filter(({ level }) => level === 50);
  assert.match(line.err.stack, /error-handler\.test\.ts/);
});

it('the error page shows the stack and the request in development, and never in production', async (t) => {
  const broken = {
    ...memoryBackend(),
    compareAndSet: () => Promise.reject(new Error('broken <b>')),
  };
  const show = async (env: Record<string, string>, headers = {}) => {
    const shop = await startShop(broken, {}, env);
    t.after(shop.close);
    const secrets = { cookie: 'sid=my-secret', authorization: 'Basic my-secret' };
    const all = { ...PAGE.headers, ...secrets, 'x-coat': '<i>', ...headers };
    const page = await shop.visitor().get('/?coat=1', { headers: all });
    assert.equal(page.status, 503);
    return page.text;
  };
  const inDevelopment = await show({});
  assert.match(inDevelopment, /broken &lt;b&gt;\n +at .*error-handler\.test\.ts:/s);
  assert.match(inDevelopment, /GET \/\?coat=1/);
  assert.match(inDevelopment, /x-coat: &lt;i&gt;/);
  assert.doesNotMatch(inDevelopment, /my-secret|<b>|<i>/);
  const production = { NODE_ENV: 'production', TRUST_PROXY: 'loopback' };
  const inProduction = await show(production, { 'x-forwarded-proto': 'https' });
  assert.doesNotMatch(inProduction, /broken|x-coat|\.ts|development/);
});
