import { setTimeout as delay } from 'node:timers/promises';

/** Calls `check` every 25 ms until it returns true. A rejection counts as false. */
export async function until(
  check: () => Promise<boolean>,
  what: string,
  timeoutMs = 30_000,
): Promise<void> {
  const over = new AbortController();
  const poll = async () => {
    while (!over.signal.aborted && !(await check().catch(() => false))) await delay(25);
  };
  const timeout = async () => {
    await delay(timeoutMs, undefined, { signal: over.signal });
    throw new Error(`${what}: not within ${timeoutMs} ms`);
  };
  try {
    await Promise.race([poll(), timeout()]);
  } finally {
    over.abort();
  }
}
