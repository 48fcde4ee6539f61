import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, createCluster, createSentinel } from 'redis';
import type { RedisTarget } from '../../config/redis-url.ts';
import type { RedisCommands } from '../session/index.ts';
import { type Connection, endSilentConnections } from './silent-connections.ts';

export type RedisClient = RedisCommands & {
  /** Settles when it has connected for the first time, or was closed before that. */
  connected: Promise<void>;
  /** For the operator's commands only: it reads all keys. */
  keys: (prefix: string) => Promise<string[]>;
  /** Rejects while Redis, or a master of the cluster, does not answer. */
  check: () => Promise<unknown>;
  close: () => void;
};

/** Connects in the background and never gives up. Meanwhile, each command fails at once. */
export function connectRedis(target: RedisTarget, onError: (error: unknown) => void): RedisClient {
  let connected = false;
  let closed = false;
  const notConnected = () => new Error('not connected to Redis yet');
  const { client, connectOnce, masters, connections } = clientOf(target, (retries) =>
    connected ? Math.min(50 * 2 ** retries, 500) : notConnected(),
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
  const timer = endSilentConnections(connections, onError);

  // Before its first connection, a sentinel neither answers nor fails.
  const whenReady = async <T>(command: () => Promise<T>) => {
    if (!connected) throw notConnected();
    return command();
  };
  return {
    connected: connect(),
    get: (key) => whenReady(() => client.get(key)),
    eval: (script, args) => whenReady(() => client.eval(script, args)),
    del: (keys) => whenReady(() => client.del(keys)),
    keys: (prefix) =>
      whenReady(async () => {
        const found = (await masters()).map(async (master) => {
          const pages = master.scanIterator({ MATCH: `${prefix}*`, COUNT: 1000 });
          return (await Array.fromAsync(pages)).flat();
        });
        return [...new Set((await Promise.all(found)).flat())];
      }),
    check: () => whenReady(async () => Promise.all((await masters()).map((m) => m.ping()))),
    close: () => {
      closed = true;
      clearInterval(timer);
      void client.destroy();
    },
  };
}

type Client = {
  client: RedisCommands & {
    on(event: string, listener: (error: unknown) => void): unknown;
    destroy(): unknown;
  };
  connectOnce: () => Promise<unknown>;
  masters: () => Promise<Master[]>;
  connections: () => (Connection | undefined)[];
};
type Master = {
  ping(): Promise<unknown>;
  scanIterator(options: { MATCH: string; COUNT: number }): AsyncIterable<string[]>;
};

function clientOf(
  { kind, tls, nodes, credentials, path }: RedisTarget,
  reconnectStrategy: (retries: number) => number | Error,
): Client {
  // The pings of `endSilentConnections` keep an idle connection from reaching this socketTimeout.
  const socket = { connectTimeout: 1000, socketTimeout: 3000, reconnectStrategy };
  // The default sets a timer for each command.
  const commandOptions = { timeout: 0 };
  // By default, commands, and the requests that wait for them, would be held back until an outage
  // ends.
  const options = { ...credentials, disableOfflineQueue: true, commandOptions };

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
        // Otherwise it would keep trying a master that was dead at the start.
        cluster.destroy();
        throw error;
      }
    };
    const connections = () => cluster.masters.map((master) => master.client);
    return { client: cluster, connectOnce, masters, connections };
  }
  if (kind === 'sentinel') {
    const client = createSentinel({
      name: path,
      sentinelRootNodes: nodes,
      nodeClientOptions: { ...options, socket },
      sentinelClientOptions: { socket },
      passthroughClientErrorEvents: true,
      scanInterval: 1000,
      commandOptions,
    });
    // The sentinels notice a silent master themselves, and name another one.
    const connections = () => [];
    const masters = async () => [client];
    return { client, connectOnce: () => client.connect(), masters, connections };
  }
  const [node] = nodes;
  const client = createClient({
    ...options,
    database: Number(path),
    socket: tls ? { ...node, ...socket, tls } : { ...node, ...socket },
  });
  const connections = () => [client];
  const masters = async () => [client];
  return { client, connectOnce: () => client.connect(), masters, connections };
}

export const whenConnected = ({ connected }: RedisClient, limitMs: number) =>
  Promise.race([connected, once(AbortSignal.timeout(limitMs), 'abort')]);
