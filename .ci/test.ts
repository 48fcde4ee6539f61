// node .ci/test.ts           every check, whether or not the ones before it passed
// node .ci/test.ts --quick   those that need no server, side by side
// node .ci/test.ts PATH ...  the test files whose paths begin with PATH
import { rmSync } from 'node:fs';
import { type Check, quickTests, results, staticChecks, type Totals, testsOf } from './checks.ts';
import { print, runCheck, stopChecks } from './run-check.ts';

let interrupted = false;
function stop(signal: NodeJS.Signals): void {
  if (!interrupted) stopChecks(signal);
  interrupted = true;
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
process.stdout.on('error', () => stop('SIGTERM'));
// npm passes a signal only to its shell, which dies and leaves this process running.
const parent = process.ppid;
setInterval(() => process.ppid !== parent && stop('SIGTERM'), 500).unref();

const all: Totals[] = [];
async function runSideBySide(checks: Record<string, Check>): Promise<void> {
  const names = Object.keys(checks).join(', ');
  if (interrupted || !names) return;
  print(`Running ${names} ...`);
  const runs = Object.entries(checks).map(([name, check]) => runCheck(name, check));
  all.push(...(await Promise.all(runs)));
}

const args = process.argv.slice(2);
if (args.includes('--quick')) {
  await runSideBySide({ ...staticChecks, ...quickTests() });
} else if (args.length > 0) {
  for (const group of testsOf(args)) await runSideBySide(group);
  if (all.length === 0) print(`No test file has a path that begins with ${args.join(' or ')}`);
} else {
  await runSideBySide(staticChecks);
  // Each waits for its servers or its browser now and then: together they keep the cores busy.
  for (const group of testsOf([''])) await runSideBySide(group);
}
rmSync(results, { recursive: true, force: true });
const passed = all.reduce((sum, totals) => sum + totals.passed, 0);
let failed = all.reduce((sum, totals) => sum + totals.failed, 0);
if (interrupted || all.length === 0) failed = Math.max(failed, 1);
print(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
