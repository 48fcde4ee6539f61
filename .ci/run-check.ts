import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import type { Check, Totals } from './checks.ts';

const LIMIT_MS = 12 * 60_000;
const root = resolve(import.meta.dirname, '..');

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

const stops = new Set<(signal: NodeJS.Signals) => void>();
/** Sends a signal to every running check, and SIGKILL 10 s later. */
export function stopChecks(signal: NodeJS.Signals): void {
  for (const stop of stops) stop(signal);
}

/** Runs a check, and then prints its output and how it went. */
export async function runCheck(name: string, check: Check): Promise<Totals> {
  const start = performance.now();
  const { ok, output } = await runCommand(check);
  const found = readTotals(check, ok);
  const { passed, failed, notes, seconds = {} } = found;
  print(`\n== ${name}${output && `\n${output.trimEnd()}`}`);
  try {
    if (failed > 0 && check.details) {
      const report = readFileSync(check.details, 'utf8');
      // The report of node:test ends with the tests that failed.
      print(report.slice(Math.max(0, report.indexOf('failing tests:'))));
    }
  } catch {
    // The check ended before it wrote a report.
  }
  for (const note of notes) print(`!! ${note}`);
  const slowest = Object.entries(seconds).sort(([, a], [, b]) => b - a);
  for (const [file, each] of slowest.slice(0, 5)) print(`   ${each} s for ${file}`);
  const took = ((performance.now() - start) / 1000).toFixed(1);
  print(`-- ${name}: ${passed} passed, ${failed} failed, ${took} s`);
  return found;
}

/** Runs a command, and stops it at the time limit. */
async function runCommand({ command: [program = '', ...args], env }: Check) {
  const path = [join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter);
  // On Windows the tools are .cmd files, which need a shell.
  const shell = process.platform === 'win32';
  const child = spawn(program === 'node' && !shell ? process.execPath : program, args, {
    cwd: root,
    shell,
    env: {
      ...process.env,
      PATH: path,
      // The tests start many processes. This makes each of them start faster, even those of a copy of
      // this folder.
      NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'compile'),
      NODE_COMPILE_CACHE_PORTABLE: '1',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group of its own, so that everything the command has started ends with it.
    detached: true,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  const { pid } = child;
  if (pid === undefined) {
    const [error] = await once(child, 'error');
    return { ok: false, output: String(error) };
  }
  const killGroup = (signal: NodeJS.Signals) => {
    try {
      process.kill(-pid, signal);
    } catch {
      // The whole group has ended.
    }
  };
  const timers: NodeJS.Timeout[] = [];
  const stop = (signal: NodeJS.Signals) => {
    killGroup(signal);
    timers.push(setTimeout(killGroup, 10_000, 'SIGKILL'));
  };
  const giveUp = () => {
    print(`Not done after ${LIMIT_MS / 60_000} minutes`);
    stop('SIGTERM');
  };
  stops.add(stop);
  timers.push(setTimeout(giveUp, LIMIT_MS));
  const closed = once(child, 'close');
  const [code] = await once(child, 'exit');
  for (const timer of timers) clearTimeout(timer);
  killGroup('SIGKILL');
  stops.delete(stop);
  await closed; // until all of its output has arrived
  return { ok: code === 0, output };
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
