import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atExit } from './at-exit.ts';

/**
 * A new directory. It is deleted when it is disposed of, or at the latest when this process ends.
 */
export async function tempDir(name: string): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), `cloakroom-${name}-`));
  const options = { recursive: true, force: true, maxRetries: 3 };
  const forget = atExit(() => rmSync(path, options));
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await rm(path, options);
      forget();
    },
  };
}
