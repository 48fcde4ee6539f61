import { setImmediate, setTimeout as sleep } from 'node:timers/promises';

export type Connection = {
  isReady: boolean;
  ping(): Promise<unknown>;
  destroy(): void;
  connect(): Promise<unknown>;
};

/**
 * Replaces connections that went silent without an error, because the host died or a NAT forgot them.
 * `socketTimeout` does not notice: each write restarts its timer. So each connection gets pings.
 */
export function endSilentConnections(
  connections: () => (Connection | undefined)[],
  onError: (error: unknown) => void,
) {
  const check = async (connection: Connection) => {
    const answer = connection.ping().catch(() => {}); // a connection that fails is not silent
    // setImmediate: an answer that arrived while this process was stalled is read first.
    const silent = sleep(3000, undefined, { ref: false }).then(() => setImmediate('silent'));
    if ((await Promise.race([answer, silent])) !== 'silent') return;
    connection.destroy();
    connection.connect().catch(onError);
  };
  const checkAll = () => {
    for (const connection of connections()) if (connection?.isReady) void check(connection);
  };
  return setInterval(checkAll, 500).unref();
}
