import { randomUUID } from 'node:crypto';
import { TakesNoChanges } from '../http/health-handlers.ts';
import type { Backend } from '../session/index.ts';

type Checked = { backend: (prefix: string) => Backend; check: () => Promise<unknown> };

/** A record that belongs to nobody. It is kept with the counts of the rate limits, which may be lost. */
const KEY = `ready:${randomUUID()}`;
const TTL_MS = 60_000;
const EVERY_MS = 1000;

/**
 * @returns a function that rejects while the store does not answer, and with TakesNoChanges while it
 *   answers but stores nothing: its disk or memory is full, or it is a replica. Anybody may ask, so it
 *   writes once a second at most.
 */
export function readyCheck({ backend, check }: Checked): () => Promise<void> {
  const records = backend('limit:');
  let latest: Promise<unknown> = Promise.resolve();
  let askedAt = Number.NEGATIVE_INFINITY;

  async function write(): Promise<void> {
    await records.compareAndSet(KEY, 0, { version: 1 }, TTL_MS);
    await records.destroy(KEY);
  }

  return async () => {
    await check();
    const now = performance.now();
    if (now - askedAt >= EVERY_MS) {
      askedAt = now;
      latest = write();
    }
    await latest.catch((cause: unknown) => {
      throw new TakesNoChanges('The store does not accept writes', { cause });
    });
  };
}
