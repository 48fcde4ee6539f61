import { type ExecFileOptions, execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** The error from starting `command`, or a clearer one if the command is not installed. */
export function startError(command: string, error: unknown): unknown {
  if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) return error;
  return new Error(`${command} is not installed: not found in PATH`, { cause: error });
}

/** Runs a command for at most 100 s. Resolves to its stdout without trailing whitespace. */
export async function run(
  command: string,
  args: string[],
  options: ExecFileOptions = {},
): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(command, args, { timeout: 100_000, ...options });
    return String(stdout).trimEnd();
  } catch (error) {
    throw startError(command, error);
  }
}
