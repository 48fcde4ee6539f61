import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { drills } from './drill-list.ts';
import { linesOf, runDrill } from './run-drill.ts';

const { scripts } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
// Other tests run beside these.
const SLOWNESS = 20;

// Only Linux can limit the files of a running process.
for (const [name, drill] of Object.entries(drills))
  if (name !== 'full-disk' || process.platform === 'linux')
    it(`drill:${name} finds what the runbook says`, async (t) => {
      assert.equal(scripts[`drill:${name}`], `node drills/drill.ts ${name}`);
      await runDrill(name, drill, (line) => t.diagnostic(line), SLOWNESS);
    });

it('a drill fails if the runbook says something else, or more', async () => {
  const [first = ''] = linesOf('failover');
  const quietly = () => {};
  const run = (line: string, act = async () => {}) =>
    runDrill('failover', ({ step }) => step(line, act), quietly);
  await assert.rejects(run('Something else.'), /say different things/);
  await assert.rejects(run(first), /more lines than the drill/);
  const untrue = async () => assert.fail('untrue');
  await assert.rejects(run(first, untrue), /untrue/);
});
