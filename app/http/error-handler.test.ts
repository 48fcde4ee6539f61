import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import express, { type RequestHandler } from 'express';
import { httpClient } from '../../test-support/http-client.ts';
import { listen } from '../../test-support/listen.ts';
import { createLog } from '../observe/log.ts';
import { createMetrics } from '../observe/metrics.ts';
import { requestLog } from '../observe/request-log.ts';
import { decideFormat } from './decide-format.ts';
import { errorHandler } from './error-handler.ts';
import { Refusal } from './refusal.ts';

async function serve(t: TestContext, handler: RequestHandler) {
  const lines: string[] = [];
  const log = createLog('info', { write: (line) => lines.push(line) });
  const app = express();
  app.use(requestLog({ log, metrics: createMetrics(), secret: '' }), decideFormat, handler);
  const pages = { show: async () => {}, showHtml: async () => {} };
  app.use(errorHandler({ log, audit: () => {}, pages, wayBack: () => undefined }));
  const { origin, close } = await listen(app);
  t.after(close);
  return { visitor: httpClient(origin), log: () => lines.map((line) => JSON.parse(line)) };
}

it('a crowd is no fault: each refusal has its usual line, and all together a warning with their number', async (t) => {
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
      ['busy', 1, 'Answered 503: Too many people are logging in right now.'],
      ['busy', 19, 'Answered 503: Too many people are logging in right now.'],
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
