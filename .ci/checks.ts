// Every check, and how to run it.
import { globSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { needsServers } from './needs-servers.ts';

export type Totals = {
  passed: number;
  failed: number;
  notes: string[];
  /** How long each test file took, if the runner says so. */
  seconds?: Record<string, number>;
};
export type Check = {
  command: string[];
  env?: NodeJS.ProcessEnv;
  /**
   * Reads the results that the runner wrote. Without this function, the check counts as one test.
   */
  totals?: () => Totals;
  /** What to show about a failed check, in addition to its own output. */
  details?: string;
};

/** Where the test runners leave their results. */
export const results = mkdtempSync(join(tmpdir(), 'cloakroom-checks-'));

const colors = process.stdout.isTTY ? 'force' : 'off';
const folders = '{app,bench,config,drills,e2e,test-support}';
// The league of stores has packages of its own, which may bring tests.
const tests = globSync(`${folders}/**/*.test.ts`, { exclude: ['**/node_modules/**'] }).sort();
const browserTests = globSync('e2e/*.e2e.ts').sort();

export const staticChecks: Record<string, Check> = {
  // Biome colours its output even in a file.
  format: { command: ['biome', 'ci', '--error-on-warnings', `--colors=${colors}`] },
  lint: { command: ['oxlint', '--type-aware', '--deny-warnings'] },
  types: { command: ['tsc'] },
  'dead-code': { command: ['knip'] },
};

// They start first, so that no core is idle at the end.
const startFirst = [
  'drills/runbook.test.ts',
  'app/process/primary.test.ts',
  'app/storage/redis-client.test.ts',
  'e2e/interleavings.test.ts',
  'app/server.test.ts',
  'app/accounts/accounts-cli.test.ts',
];

// With these, npm run check would take twice as long.
const notInQuickRun = [
  'app/accounts/account-page-handlers.test.ts',
  'app/accounts/cut-off-log-ins.test.ts',
  'app/accounts/device-bound.test.ts',
  'app/accounts/log-in-flood.test.ts',
  'app/accounts/passwords.test.ts',
  'app/accounts/session-events.test.ts',
  'app/guide/guide-handlers.test.ts',
  'app/inspector/xray-handlers.test.ts',
  'app/lab/lab-handlers.test.ts',
  'app/observe/audit.test.ts',
  'app/process/http-server.test.ts',
  'app/orders/order-handlers.test.ts',
  'app/storage/documents.test.ts',
  'bench/league/stores.test.ts',
  'e2e/interleavings.test.ts',
  'e2e/markup.test.ts',
  'e2e/other-packages.test.ts',
  'e2e/own-store.test.ts',
  'e2e/passport-and-openid.test.ts',
];

/** The tests that start no server, proxy or browser, with only the memory store. */
export const quickTests = (): Record<string, Check> => ({
  quick: nodeTests(
    'quick',
    tests.filter((file) => !notInQuickRun.includes(file) && !needsServers(file)),
    { concurrency: 3, env: { TEST_WITHOUT_SERVERS: '1' } },
  ),
});

// These measure how long the app takes. Each has a core to itself, and no other test runs beside them.
const timed = ['app/http/rate-limits.test.ts', 'e2e/outage.test.ts'];

/**
 * The test files whose paths begin with one of `paths`. The checks of each group run side by
 * side.
 */
export function testsOf(paths: readonly string[]): Record<string, Check>[] {
  const isWanted = (file: string) => paths.some((path) => file.startsWith(path));
  const wanted = tests.filter(isWanted);
  const inBrowser = browserTests.filter(isWanted);
  const alone = timed.filter((file) => wanted.includes(file));
  const first = startFirst.filter((file) => wanted.includes(file));
  const together = [...new Set([...first, ...wanted])].filter((file) => !alone.includes(file));
  return [
    {
      ...(together.length > 0 && { unit: nodeTests('unit', together, { concurrency: 4 }) }),
      ...(inBrowser.length > 0 && { browser: playwrightTests(inBrowser) }),
    },
    alone.length > 0 ? { timed: nodeTests('timed', alone, { concurrency: 2 }) } : {},
  ];
}

type NodeTestOptions = { concurrency: number; env?: NodeJS.ProcessEnv };
function nodeTests(
  name: string,
  files: string[],
  { concurrency, env = {} }: NodeTestOptions,
): Check {
  const report = join(results, `${name}.txt`);
  const totals = join(results, `${name}.json`);
  return {
    // A process for each file: --test-isolation=none passes a file that throws between its tests,
    // shares the hooks of a file with all others, and obeys `only`.
    // No --test-force-exit, which hides errors that come after the end of a test: file-limit.ts ends
    // a file that does not end, and it has failed.
    command: [
      ...['node', '--test', `--test-concurrency=${concurrency}`, '--test-timeout=120000'],
      '--import=./.ci/file-limit.ts',
      ...['--test-reporter=spec', `--test-reporter-destination=${report}`],
      ...['--test-reporter=./.ci/node-test-totals.ts', `--test-reporter-destination=${totals}`],
      ...files,
    ],
    env,
    totals: () => JSON.parse(readFileSync(totals, 'utf8')),
    details: report,
  };
}

function playwrightTests(files: string[]): Check {
  const report = join(results, 'playwright.json');
  return {
    command: [
      ...['playwright', 'test', '--config', 'e2e/playwright.config.ts'],
      ...['--forbid-only', '--reporter=dot,json'],
      ...files,
    ],
    env: { PLAYWRIGHT_JSON_OUTPUT_FILE: report },
    totals: () => {
      const { stats, errors } = JSON.parse(readFileSync(report, 'utf8'));
      const notes: string[] = [];
      if (stats.skipped > 0) notes.push(`${stats.skipped} skipped or not run`);
      if (stats.flaky > 0) notes.push(`${stats.flaky} flaky`);
      const failed = stats.unexpected + stats.flaky + stats.skipped + errors.length;
      return { passed: stats.expected, failed, notes };
    },
  };
}
