import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { basename } from 'node:path';
import { atExit } from './at-exit.ts';
import { startError } from './run.ts';
import { until } from './until.ts';

export type Child = {
  pid: number;
  /** stdout and stderr so far. */
  output: () => string;
  kill: (signal: NodeJS.Signals) => void;
  /**
   * Asks the process to end, and kills it after 20 s. Resolves to its exit code, or to null if a
   * signal ended it.
   */
  stop: (signal?: NodeJS.Signals) => Promise<number | null>;
  exited: Promise<number | null>;
};

type StartOptions = {
  /** Added to this process's own environment; undefined removes a variable. */
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** The user and group to run as. */
  uid?: number;
  gid?: number;
  /** Matched against the output so far, or called every 25 ms (a rejection means not yet). */
  ready: RegExp | (() => Promise<boolean>);
  name?: string;
  timeoutMs?: number;
};

/**
 * Starts a command and resolves once it is ready. Rejects with its output if that never happens.
 */
export async function startChild(
  command: string,
  args: string[],
  { env, cwd, uid, gid, ready, name = basename(command), timeoutMs }: StartOptions,
): Promise<Child> {
  const child = spawn(command, args, {
    env: { ...process.env, ...env },
    cwd,
    uid,
    gid,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const forget = atExit(() => child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      // After a long run under load, the end of the output is enough.
      if (output.length > 50_000_000) output = output.slice(-1_000_000);
    });
  }
  let ended = false;
  const exited = new Promise<number | null>((resolve) => {
    const end = () => {
      ended = true;
      resolve(child.exitCode);
    };
    child.once('close', end);
    child.once('exit', () => {
      forget();
      // 'close' comes after the last output, but a grandchild that keeps the pipes open can delay
      // it. setImmediate: output that came while this process was stalled is read first.
      const letGo = () => {
        for (const stream of [child.stdout, child.stderr]) stream.destroy();
        end();
      };
      setTimeout(setImmediate, 1_000, letGo).unref();
    });
  });
  const { pid } = child;
  if (pid === undefined) {
    forget();
    const [error] = await once(child, 'error');
    throw startError(command, error);
  }

  const isReady = async () =>
    ended || (ready instanceof RegExp ? output.search(ready) >= 0 : ready());
  try {
    await until(
      () => Promise.race([exited.then(() => true), isReady()]),
      `${name} is ready`,
      timeoutMs,
    );
    if (ended) throw new Error(`${name} ended with ${child.exitCode ?? child.signalCode}`);
  } catch (error) {
    child.kill('SIGKILL');
    await exited;
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${reason}\n${output}`, { cause: error });
  }

  let stopping: Promise<number | null> | undefined;
  const stop = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    // A paused process handles no signal except SIGKILL until it continues.
    if (process.platform !== 'win32') child.kill('SIGCONT');
    const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
    const code = await exited;
    clearTimeout(timer);
    return code;
  };
  return {
    pid,
    output: () => output,
    kill: (signal) => {
      child.kill(signal);
    },
    stop: (signal = 'SIGTERM') => {
      stopping ??= stop(signal);
      return stopping;
    },
    exited,
  };
}
