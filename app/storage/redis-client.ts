import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, createCluster, createSentinel } from 'redis';
import type { RedisTarget } from '../../config/redis-url.ts';
import type { RedisCommands } from '../session/index.ts';
import { type Connection, endSilentConnections } from './silent-connections.ts';

/** What the app uses of Redis, the same for a single server, a cluster and a sentinel. */
export type RedisClient = RedisCommands & {
  /** Done when it has connected, or is closed, for the first time. */
  connected: Promise<void>;
  /** All keys that begin so, on all masters: for the operator's commands, never for a request. */
  keys(prefix: string): Promise<string[]>;
  /** Rejects while Redis, or a master of the cluster, does not answer. */
  check(): Promise<unknown>;
  close(): void;
};

/**
 * Connects in the background and for as long as it takes: an app that starts before its Redis is
 * unavailable, not dead. Meanwhile each command fails at once.
 * @param onError is told of each failure to connect and each lost connection
 */
export function connectRedis(target: RedisTarget, onError: (error: unknown) => void): RedisClient {
  let connected = false;
  let closed = false;
  const { client, connectOnce, masters, watched } = clientOf(target, (retries) =>
    connected ? Math.min(50 * 2 ** retries, 500) : new Error('not connected yet'),
  );
  for (const event of ['error', 'node-error']) client.on(event, onError);

  const connect = async () => {
    while (!connected) {
      try {
        await connectOnce();
        connected = true;
      } catch (error) {
        onError(error);
        await sleep(500);
        if (closed) return;
      }
    }
  };
  const connecting = connect();
  const watching = endSilentConnections(watched, onError);

  // Before it has connected once, a sentinel neither answers nor fails.
  const ready = <T>(ask: () => Promise<T>) =>
    connected ? ask() : Promise.reject<T>(new Error('not connected yet'));
  return {
    connected: connecting,
    get: (key) => ready(() => client.get(key)),
    eval: (script, args) => ready(() => client.eval(script, args)),
    del: (keys) => ready(() => client.del(keys)),
    keys: (prefix) =>
      ready(async () => {
        const found = (await masters()).map(async (master) => {
          const pages = master.scanIterator({ MATCH: `${prefix}*`, COUNT: 1000 });
          return (await Array.fromAsync(pages)).flat();
        });
        return [...new Set((await Promise.all(found)).flat())];
      }),
    check: () => ready(async () => Promise.all((await masters()).map((master) => master.ping()))),
    close: () => {
      closed = true;
      clearInterval(watching);
      void client.destroy();
    },
  };
}

/** A client, a cluster or a sentinel of node-redis, and the masters that it talks to. */
type Client = {
  client: RedisCommands & {
    on(event: string, listener: (error: unknown) => void): unknown;
    destroy(): unknown;
  };
  /** Tries to connect, to all masters, and gives up when it cannot. */
  connectOnce: () => Promise<unknown>;
  masters: () => Promise<Master[]>;
  watched: () => (Connection | undefined)[];
};
type Master = {
  ping(): Promise<unknown>;
  scanIterator(options: { MATCH: string; COUNT: number }): AsyncIterable<string[]>;
};

/** @param reconnectStrategy a wait in ms, or an error to give up: what node-redis has by itself gives up, too */
function clientOf(
  { kind, tls, nodes, credentials, path }: RedisTarget,
  reconnectStrategy: (retries: number) => number | Error,
): Client {
  const socket = {
    connectTimeout: 1000,
    // Ends a handshake that is not answered, and with the pings of `endSilentConnections` no quiet one.
    socketTimeout: 3000,
    reconnectStrategy,
  };
  // The default is a timer for each command that waits to be sent. None waits long: off-line a command
  // fails at once, a silent connection is ended, and the session store keeps its own deadline.
  const commandOptions = { timeout: 0 };
  const options = {
    ...credentials,
    // Off-line, fail at once. The default keeps requests waiting for as long as the outage lasts.
    disableOfflineQueue: true,
    commandOptions,
  };

  if (kind === 'cluster') {
    const cluster = createCluster({
      rootNodes: nodes.map((node) => ({ socket: { ...node, ...socket } })),
      defaults: { ...options, socket },
      commandOptions,
    });
    const masters = () => Promise.all(cluster.masters.map((master) => cluster.nodeClient(master)));
    const connectOnce = async () => {
      try {
        await cluster.connect();
        await masters();
      } catch (error) {
        // Or it would go on trying a master that was dead at the start, and not ask who took over.
        cluster.destroy();
        throw error;
      }
    };
    return {
      client: cluster,
      connectOnce,
      masters,
      watched: () => cluster.masters.map((master) => master.client),
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
      commandOptions,
    });
    // Its sentinels notice a master that falls silent, and send everyone to another one.
    const connectOnce = () => sentinel.connect();
    return { client: sentinel, connectOnce, masters: async () => [sentinel], watched: () => [] };
  }
  const [node] = nodes;
  const client = createClient({
    ...options,
    database: Number(path),
    socket: tls ? { ...node, ...socket, tls } : { ...node, ...socket },
  });
  const connectOnce = () => client.connect();
  return { client, connectOnce, masters: async () => [client], watched: () => [client] };
}

/** Done when Redis has answered for the first time, or after `limitMs`. */
export const whenConnected = ({ connected }: RedisClient, limitMs: number) =>
  Promise.race([connected, once(AbortSignal.timeout(limitMs), 'abort')]);
