import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Of an error from starting `command`: the same, or that it is missing. */
export function startError(command: string, error: unknown): unknown {
  if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) return error;
  return new Error(`${command} is not installed: not found in PATH`, { cause: error });
}

/** Runs a command to its end, at most 30 s; answers its stdout, trimmed at the end. */
export async function run(command: string, args: string[], cwd?: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(command, args, { cwd, timeout: 30_000 });
    return stdout.trimEnd();
  } catch (error) {
    throw startError(command, error);
  }
}
