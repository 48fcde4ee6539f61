/** How many rows one batch deletes: few enough that no request waits for it. */
export const SWEEP_ROWS = 1000;

const swept = new WeakSet<object>();

/**
 * Deletes expired rows in the background, at once and then every minute, until the database is closed.
 * @param database the pool or connection. It gets one sweep, however many backends share it
 * @param deleteBatch deletes at most `rows` rows and returns how many. While another process deletes, it
 *   deletes none.
 */
export function sweepExpired(
  database: object,
  deleteBatch: () => Promise<number>,
  rows = SWEEP_ROWS,
): void {
  if (swept.has(database)) return;
  swept.add(database);
  const sweep = async () => {
    try {
      while ((await deleteBatch()) === rows);
    } catch (error) {
      // The errors of mysql2, pg and node:sqlite after closing. The next request reports any other error.
      if (/pool is closed|calling end on the pool|database is not open/i.test(String(error)))
        clearInterval(timer);
    }
  };
  const timer = setInterval(() => void sweep(), 60_000).unref();
  void sweep();
}
