import { existsSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atExit } from './at-exit.ts';

/**
 * A new directory. It is deleted when it is disposed of, or at the latest when this process ends.
 */
export async function tempDir(
  name: string,
  parent = tmpdir(),
): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(parent, `cloakroom-${name}-`));
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

/** A folder on a RAM disk, if the system has one. */
export const ramDisk = existsSync('/dev/shm') ? '/dev/shm' : undefined;

/** The URL of a database that does not exist yet, on a RAM disk if the system has one. */
export async function tempDatabase(): Promise<{ url: string; stop(): Promise<void> }> {
  const folder = await tempDir('db', ramDisk);
  const stop = async () => folder[Symbol.asyncDispose]();
  return { url: `sqlite:${join(folder.path, 'shop.db')}`, stop };
}
