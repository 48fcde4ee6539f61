import assert from 'node:assert/strict';
import { it } from 'node:test';
import { startChild } from '../../test-support/child.ts';
import { until } from '../../test-support/until.ts';

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
