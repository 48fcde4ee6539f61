import { setTimeout as sleep } from 'node:timers/promises';

/** The part of a connection of node-redis used here. */
export type Connection = {
  isReady: boolean;
  ping(): Promise<unknown>;
  destroy(): void;
  connect(): Promise<unknown>;
};

/**
 * Ends connections that have fallen silent without a word: the host died, a NAT forgot them. Each
 * write restarts the timer of `socketTimeout`, so under traffic only an unanswered ping tells.
 */
export function endSilentConnections(
  connections: () => (Connection | undefined)[],
  onError: (error: unknown) => void,
) {
  const look = async (connection: Connection) => {
    const answer = connection.ping().catch(() => {}); // an error is no silence
    const silent = sleep(3000, 'silent', { ref: false });
    if ((await Promise.race([answer, silent])) !== 'silent') return;
    connection.destroy();
    connection.connect().catch(onError);
  };
  const lookAtAll = () => {
    for (const connection of connections()) if (connection?.isReady) void look(connection);
  };
  return setInterval(lookAtAll, 500).unref();
}
