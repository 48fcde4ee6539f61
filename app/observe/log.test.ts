import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { it } from 'node:test';
import { startChild } from '../../test-support/child.ts';
import { startRedis } from '../../test-support/redis.ts';
import { startServer } from '../../test-support/start-server.ts';
import { until } from '../../test-support/until.ts';
import { createLog, readable } from './log.ts';

it('a buffered log does not wait for more lines, and is complete at the end', async () => {
  const module = JSON.stringify(new URL('log.ts', import.meta.url).href);
  const script = `
    import { buffered, createLog } from ${module};
    const log = createLog('info', buffered());
    log.info('first');
    process.on('SIGTERM', () => {
      for (let n = 0; n < 1000; n++) log.info({ n }, 'more');
      process.exit(0);
    });
    setInterval(() => {}, 1000);`;
  const args = ['--input-type=module', '--eval', script];
  const child = await startChild(process.execPath, args, { ready: /"first"/ });
  assert.equal(await child.stop(), 0);
  await until(async () => child.output().endsWith('"n":999,"msg":"more"}\n'), 'the last line');
  assert.equal(child.output().trim().split('\n').length, 1001);
});

it('a developer reads a line for each event: coloured on a terminal, and the stack of an error', () => {
  const print = (isTTY: boolean) => {
    let output = '';
    const stream = Object.assign(new PassThrough(), { isTTY, getColorDepth: () => 8 });
    stream.on('data', (text) => {
      output += text;
    });
    const log = createLog('debug', readable(stream));
    log.info({ requestId: 'r1', method: 'GET', path: '/cart', status: 200, ms: 12 }, 'request');
    log.warn({ store: 'memory', event: 'odd\u001b[2J' }, 'Something is odd');
    log.error({ err: new Error('broken'), requestId: 'r2', path: '/' }, 'request failed');
    return output;
  };
  const plain = print(false);
  assert.match(plain, /^\d\d:\d\d:\d\d info {2}GET \/cart 200 12 ms\n/);
  assert.match(plain, /\d warn {2}Something is odd store="memory" event="odd\\u001b\[2J"\n/);
  assert.match(
    plain,
    /\d error request failed path="\/" requestId="r2"\nError: broken\n +at .*log\.test\.ts/,
  );
  assert.doesNotMatch(plain, /pid|hostname|r1/);
  assert.ok(!plain.includes('\u001b'));
  assert.ok(print(true).includes('\u001b[33mwarn'));
});

it('production logs JSON, and development does not', async (t) => {
  const redis = await startRedis();
  t.after(redis.stop);
  const production = {
    NODE_ENV: 'production',
    REDIS_URL: redis.url,
    SESSION_SECRET: 'f3Xw9Lq2Vb7Nc5Zk8Hs4Jd6Gt1Ry0PmU',
    TRUST_PROXY: 'loopback',
  };
  for (const [env, isJson] of [
    [production, true],
    [{}, false],
  ] as const) {
    const server = await startServer(env);
    t.after(server.stop);
    const line =
      server
        .output()
        .split('\n')
        .find((each) => each.includes('is open')) ?? '';
    assert.equal(line.startsWith('{'), isJson, line);
  }
});
