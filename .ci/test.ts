// Runs every check, whether or not the ones before it passed, or only those that the arguments
// name: node .ci/test.ts types unit
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';

type Totals = { passed: number; failed: number; notes: string[] };
type Check = {
  command: string[];
  env?: NodeJS.ProcessEnv;
  /** Reads what the runner has left; without it the check counts as one test. */
  totals?: () => Totals;
  /** What to show of a check that failed, beyond what it printed itself. */
  details?: string;
};

const colors = process.stdout.isTTY ? 'force' : 'off';
const LIMIT_MS = 14 * 60_000;

const root = resolve(import.meta.dirname, '..');
const results = mkdtempSync(join(tmpdir(), 'cloakroom-checks-'));
const nodeTotals = join(results, 'node-totals.json');
const nodeReport = join(results, 'node-report.txt');
const browserReport = join(results, 'playwright.json');

const checks: Record<string, Check> = {
  // (Biome colours its output even where it goes into a file.)
  format: { command: ['biome', 'ci', '--error-on-warnings', `--colors=${colors}`] },
  lint: { command: ['oxlint', '--type-aware', '--deny-warnings'] },
  types: { command: ['tsc'] },
  'dead-code': { command: ['knip'] },
  unit: {
    // A process for each file: --test-isolation=none passes a file that throws between its tests,
    // shares the hooks of a file with all others, and obeys `only`.
    // No --test-force-exit, which hides errors that come after the end of a test: a file that does
    // not end is stopped at the limit, and has failed.
    command: [
      ...['node', '--test', '--test-concurrency=1', '--test-timeout=60000'],
      ...['--test-reporter=spec', `--test-reporter-destination=${nodeReport}`],
      ...['--test-reporter=./.ci/node-test-totals.ts', `--test-reporter-destination=${nodeTotals}`],
      ...['app', 'bench', 'drills', 'config', 'e2e', 'test-support'].map(
        (dir) => `${dir}/**/*.test.ts`,
      ),
    ],
    totals: () => JSON.parse(readFileSync(nodeTotals, 'utf8')),
    details: nodeReport,
  },
  browser: {
    command: [
      ...['playwright', 'test', '--config', 'e2e/playwright.config.ts'],
      ...['--forbid-only', '--reporter=dot,json'],
    ],
    env: { PLAYWRIGHT_JSON_OUTPUT_FILE: browserReport },
    totals: readBrowserTotals,
  },
};

function readBrowserTotals(): Totals {
  const { stats, errors } = JSON.parse(readFileSync(browserReport, 'utf8'));
  const notes: string[] = [];
  if (stats.skipped > 0) notes.push(`${stats.skipped} skipped or not run`);
  if (stats.flaky > 0) notes.push(`${stats.flaky} flaky`);
  const failed = stats.unexpected + stats.flaky + stats.skipped + errors.length;
  return { passed: stats.expected, failed, notes };
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

let interrupted = false;
let stopCheck = (_signal: NodeJS.Signals): void => {};
function stop(signal: NodeJS.Signals): void {
  if (!interrupted) stopCheck(signal);
  interrupted = true;
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
process.stdout.on('error', () => stop('SIGTERM'));
// npm passes a signal on to its shell only, which dies of it and leaves this process behind.
const parent = process.ppid;
setInterval(() => process.ppid !== parent && stop('SIGTERM'), 500).unref();

/** Answers whether the command ended well; stops it at the limit. */
async function runCommand([program = '', ...args]: string[], env: NodeJS.ProcessEnv) {
  const path = [join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter);
  const child = spawn(program === 'node' ? process.execPath : program, args, {
    cwd: root,
    env: { ...process.env, PATH: path, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
    // A process group of its own, so that what the command has started ends with it.
    detached: true,
  });
  const { pid } = child;
  if (pid === undefined) {
    const [error] = await once(child, 'error');
    print(String(error));
    return false;
  }
  const killGroup = (signal: NodeJS.Signals) => {
    try {
      process.kill(-pid, signal);
    } catch {
      // The whole group has ended.
    }
  };
  const timers: NodeJS.Timeout[] = [];
  stopCheck = (signal) => {
    killGroup(signal);
    timers.push(setTimeout(killGroup, 10_000, 'SIGKILL'));
  };
  const giveUp = () => {
    print(`Not done after ${LIMIT_MS / 60_000} minutes`);
    stopCheck('SIGTERM');
  };
  timers.push(setTimeout(giveUp, LIMIT_MS));
  const [code] = await once(child, 'exit');
  for (const timer of timers) clearTimeout(timer);
  killGroup('SIGKILL');
  stopCheck = () => {};
  return code === 0;
}

function readTotals({ totals }: Check, ok: boolean): Totals {
  if (!totals) return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, notes: [] };
  try {
    const found = totals();
    if (found.passed + found.failed === 0) return { passed: 0, failed: 1, notes: ['no test ran'] };
    if (ok || found.failed > 0) return found;
    return { ...found, failed: 1, notes: [...found.notes, 'the runner failed outside the tests'] };
  } catch {
    return { passed: 0, failed: 1, notes: ['the runner ended without a result'] };
  }
}

async function runCheck(name: string, check: Check): Promise<Totals> {
  print(`\n== ${name}`);
  const start = performance.now();
  const ok = await runCommand(check.command, check.env ?? {});
  const { passed, failed, notes } = readTotals(check, ok);
  try {
    if (failed > 0 && check.details) print(readFileSync(check.details, 'utf8'));
  } catch {
    // It ended before it wrote any.
  }
  for (const note of notes) print(`!! ${note}`);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  print(`-- ${name}: ${passed} passed, ${failed} failed, ${seconds} s`);
  return { passed, failed, notes };
}

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(checks);
let passed = 0;
let failed = 0;
for (const name of names) {
  if (interrupted) break;
  const check = checks[name];
  if (!check) print(`There is no check ${name}, only ${Object.keys(checks).join(', ')}`);
  const result = check ? await runCheck(name, check) : { passed: 0, failed: 1 };
  passed += result.passed;
  failed += result.failed;
}
rmSync(results, { recursive: true, force: true });
if (interrupted) failed = Math.max(failed, 1);
print(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
