import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, createCluster, createSentinel } from 'redis';
import { parseRedisUrl } from '../../config/redis-url.ts';
import type { RedisCommands } from '../session/backends.ts';

/** What the app uses of Redis, the same for a single server, a cluster and a sentinel. */
export type RedisClient = RedisCommands & {
  /** All keys that begin so, on all masters: for the operator's commands, never for a request. */
  keys(prefix: string): Promise<string[]>;
  /** Rejects while Redis, or a master of the cluster, does not answer. */
  check(): Promise<unknown>;
  close(): void;
};

// The default is a timer for each command that waits to be sent. None waits long: off-line a command
// fails at once, `watch` ends a silent connection, and the session store keeps its own deadline.
const noTimers = { timeout: 0 };

/**
 * Connects in the background and for as long as it takes: an app that starts before its Redis is
 * unavailable, not dead. Meanwhile each command fails at once.
 * @param onError is told of each failure to connect and each lost connection
 * @throws TypeError when the URL is none of those that `parseRedisUrl` reads
 */
export function connectRedis(url: string, onError: (error: unknown) => void): RedisClient {
  const target = parseRedisUrl(url);
  if (!target) throw new TypeError('not a URL of Redis');
  const { kind, tls, nodes, credentials, path } = target;
  const socket = {
    connectTimeout: 1000,
    // Ends a handshake that is not answered, and with the pings of `watch` no quiet connection.
    socketTimeout: 3000,
    // A number, always: the default strategy gives up after a socket timeout.
    reconnectStrategy: (retries: number) => Math.min(50 * 2 ** retries, 500),
  };
  const options = {
    ...credentials,
    // Off-line, fail at once. The default keeps requests waiting for as long as the outage lasts.
    disableOfflineQueue: true,
    commandOptions: noTimers,
  };
  const closing = new AbortController();
  const commandsOf = (client: RedisCommands & { destroy(): unknown }) => ({
    get: (key: string) => client.get(key),
    eval: (script: string, args: Parameters<RedisCommands['eval']>[1]) => client.eval(script, args),
    del: (keys: string[]) => client.del(keys),
    close: () => {
      closing.abort();
      void client.destroy();
    },
  });

  if (kind === 'cluster') {
    const cluster = createCluster({
      rootNodes: nodes.map((node) => ({ socket: { ...node, ...socket } })),
      defaults: { ...options, socket },
      commandOptions: noTimers,
    });
    cluster.on('error', onError);
    cluster.on('node-error', onError);
    void keepTrying(() => cluster.connect(), onError, closing.signal);
    watch(() => cluster.masters.map(({ client }) => client), onError, closing.signal);
    return {
      ...commandsOf(cluster),
      keys: async (prefix) => {
        const clients = await Promise.all(cluster.masters.map((m) => cluster.nodeClient(m)));
        return (await Promise.all(clients.map((master) => scan(master, prefix)))).flat();
      },
      check: async () => {
        if (cluster.masters.length === 0) throw new Error('not connected yet');
        await Promise.all(cluster.masters.map(async (m) => (await cluster.nodeClient(m)).ping()));
      },
    };
  }

  if (kind === 'sentinel') {
    const sentinel = createSentinel({
      name: path,
      sentinelRootNodes: nodes,
      nodeClientOptions: { ...options, socket },
      sentinelClientOptions: { socket },
      passthroughClientErrorEvents: true,
      scanInterval: 1000,
      commandOptions: noTimers,
    });
    sentinel.on('error', onError);
    // Until it has connected once, this client neither answers nor fails.
    let connected = false;
    const whenReady = <T>(ask: () => Promise<T>) =>
      connected ? ask() : Promise.reject<T>(new Error('not connected yet'));
    const connect = async () => {
      await sentinel.connect();
      connected = true;
    };
    void keepTrying(connect, onError, closing.signal);
    return {
      ...commandsOf(sentinel),
      get: (key) => whenReady(() => sentinel.get(key)),
      eval: (script, args) => whenReady(() => sentinel.eval(script, args)),
      del: (keys) => whenReady(() => sentinel.del(keys)),
      keys: (prefix) => whenReady(() => scan(sentinel, prefix)),
      check: () => whenReady(() => sentinel.ping()),
    };
  }

  const [node] = nodes;
  const client = createClient({
    ...options,
    database: Number(path),
    socket: tls ? { ...node, ...socket, tls } : { ...node, ...socket },
  });
  client.on('error', onError);
  client.connect().catch(onError);
  watch(() => [client], onError, closing.signal);
  return {
    ...commandsOf(client),
    keys: (prefix) => scan(client, prefix),
    check: () => client.ping(),
  };
}

type Scannable = {
  scanIterator(options: { MATCH: string; COUNT: number }): AsyncIterable<string[]>;
};

async function scan(client: Scannable, prefix: string): Promise<string[]> {
  const found = await Array.fromAsync(client.scanIterator({ MATCH: `${prefix}*`, COUNT: 1000 }));
  return [...new Set(found.flat())];
}

/** Done when Redis answers, or after `limitMs`. */
export async function whenConnected(redis: RedisClient, limitMs: number): Promise<void> {
  const limit = AbortSignal.timeout(limitMs);
  const connected = async (): Promise<unknown> =>
    redis.check().catch(() => limit.aborted || sleep(20).then(connected));
  await Promise.race([connected(), once(limit, 'abort')]);
}

/** Clusters and sentinels give up when no node answers the first time; a single client does not. */
async function keepTrying(
  connect: () => Promise<unknown>,
  onError: (error: unknown) => void,
  closing: AbortSignal,
): Promise<void> {
  while (!closing.aborted) {
    try {
      await connect();
      return;
    } catch (error) {
      onError(error);
      await sleep(500, undefined, { ref: false });
    }
  }
}

type Connection = {
  isReady: boolean;
  ping(): Promise<unknown>;
  destroy(): void;
  connect(): Promise<unknown>;
};

/**
 * Ends connections that have fallen silent without a word: the host died, a NAT forgot them. Each
 * write restarts the timer of `socketTimeout`, so under traffic only an unanswered ping tells.
 * (A sentinel needs none of this: its sentinels notice, and send everyone to another master.)
 */
function watch(
  connections: () => (Connection | undefined)[],
  onError: (error: unknown) => void,
  closing: AbortSignal,
): void {
  const answeredAt = new WeakMap<Connection, number>();
  const look = (connection: Connection) => {
    const now = Date.now();
    const silentFor = now - (answeredAt.get(connection) ?? now);
    if (!connection.isReady || silentFor > 3000) answeredAt.delete(connection);
    if (!connection.isReady) return;
    if (silentFor > 3000) {
      connection.destroy();
      connection.connect().catch(onError);
      return;
    }
    if (!answeredAt.has(connection)) answeredAt.set(connection, now);
    connection.ping().then(() => answeredAt.set(connection, Date.now()), ignore);
  };
  const lookAtAll = () =>
    connections()
      .filter((one) => one !== undefined)
      .forEach(look);
  const timer = setInterval(lookAtAll, 500).unref();
  closing.addEventListener('abort', () => clearInterval(timer));
}

const ignore = () => {};
