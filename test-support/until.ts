import { setTimeout as delay } from 'node:timers/promises';

/**
 * Calls `check` every 25 ms until it returns true. A rejection counts as false. The default limit is for
 * what hangs, and below that of a test.
 */
export async function until(
  check: () => Promise<boolean>,
  what: string,
  timeoutMs = 100_000,
): Promise<void> {
  const over = new AbortController();
  const poll = async () => {
    while (!over.signal.aborted && !(await check().catch(() => false))) await delay(25);
  };
  const timeout = async () => {
    await delay(timeoutMs, undefined, { signal: over.signal });
    // If this process was stalled, the time was over before another check.
    const inTime = check().catch(() => false);
    if (await Promise.race([inTime, delay(1000, false, { signal: over.signal })])) return;
    throw new Error(`${what}: not within ${timeoutMs} ms`);
  };
  try {
    await Promise.race([poll(), timeout()]);
  } finally {
    over.abort();
  }
}
