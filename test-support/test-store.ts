// npm run test:store -- ./my-backend.ts: the tests of this project's stores, on yours.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

// npm runs this in the project's folder, wherever the command was given.
const [name = '', ...options] = process.argv.slice(2);
const file = resolve(process.env.INIT_CWD ?? '', name);
if (!name || !existsSync(file)) {
  const usage = 'Usage: npm run test:store -- FILE. docs/stores.md says what it exports.';
  process.stderr.write(`${name ? `There is no file ${file}` : usage}\n`);
  process.exit(1);
}
const suites = ['session-contract', 'drop-in-store'].map(
  (suite) => `app/session-tests/${suite}.test.ts`,
);
// A broken backend must not make a test wait forever.
const limits = ['--test-timeout=60000', '--test-force-exit'];
const { status } = spawnSync(process.execPath, ['--test', ...limits, ...options, ...suites], {
  env: { ...process.env, TEST_STORE: pathToFileURL(file).href },
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
