/** How many rows one batch deletes: few enough that no request waits for it. */
export const SWEEP_ROWS = 1000;

/**
 * Deletes expired rows in the background, at once and then every minute, until the pool is closed.
 * @param deleteBatch deletes at most `SWEEP_ROWS` rows and returns how many. While another process
 *   deletes, it deletes none.
 */
export function sweepExpired(deleteBatch: () => Promise<number>): void {
  const sweep = async () => {
    try {
      while ((await deleteBatch()) === SWEEP_ROWS);
    } catch (error) {
      // The errors of mysql2 and of pg for a closed pool. The next request reports any other error.
      if (/pool is closed|calling end on the pool/i.test(String(error))) clearInterval(timer);
    }
  };
  const timer = setInterval(() => void sweep(), 60_000).unref();
  void sweep();
}
