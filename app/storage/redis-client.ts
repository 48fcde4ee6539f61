import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, createCluster, createSentinel } from 'redis';

/** What the app uses of Redis, the same for a single server, a cluster and a sentinel. */
export type RedisClient = {
  get(key: string): Promise<string | null>;
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  del(keys: string[]): Promise<unknown>;
  /** Fails when Redis does not answer. */
  check(): Promise<unknown>;
  close(): void;
};

/**
 * Connects to `redis://`, `rediss://`, `redis+cluster://host:port,…` or
 * `redis+sentinel://host:port,…/master-name`, in the background and for as long as it takes: an app
 * that starts before its Redis is unavailable, not dead. Meanwhile each command fails at once.
 * @param onError is told of each failure to connect and each lost connection
 */
export function connectRedis(url: string, onError: (error: unknown) => void): RedisClient {
  const { protocol, auth, nodes, path } = parseRedisUrl(url);
  const socket = {
    connectTimeout: 1000,
    // Only this ends a connection that has fallen silent; the ping keeps it from ending quiet ones.
    socketTimeout: 3000,
    // A number, always: the default strategy gives up after a socket timeout.
    reconnectStrategy: (retries: number) => Math.min(50 * 2 ** retries, 500),
  };
  const options = {
    ...auth,
    pingInterval: 1000,
    // Off-line, fail at once. The default keeps requests waiting for as long as the outage lasts.
    disableOfflineQueue: true,
  };

  if (protocol === 'redis+cluster:') {
    const cluster = createCluster({
      rootNodes: nodes.map((node) => ({ socket: { ...node, ...socket } })),
      defaults: { ...options, socket },
    });
    cluster.on('error', onError);
    cluster.on('node-error', onError);
    void keepTrying(() => cluster.connect(), onError);
    return {
      get: (key) => cluster.get(key),
      eval: (script, args) => cluster.eval(script, args),
      del: (keys) => cluster.del(keys),
      check: async () => {
        if (cluster.masters.length === 0) throw new Error('not connected yet');
        await Promise.all(cluster.masters.map(async (m) => (await cluster.nodeClient(m)).ping()));
      },
      close: () => cluster.destroy(),
    };
  }

  if (protocol === 'redis+sentinel:') {
    const sentinel = createSentinel({
      name: path,
      sentinelRootNodes: nodes,
      nodeClientOptions: { ...options, socket },
      sentinelClientOptions: { socket },
      passthroughClientErrorEvents: true,
      scanInterval: 1000,
    });
    sentinel.on('error', onError);
    void keepTrying(() => sentinel.connect(), onError);
    return {
      get: (key) => sentinel.get(key),
      eval: (script, args) => sentinel.eval(script, args),
      del: (keys) => sentinel.del(keys),
      check: () => sentinel.ping(),
      close: () => void sentinel.destroy(),
    };
  }

  const client = createClient({ ...options, url, socket });
  client.on('error', onError);
  client.connect().catch(onError);
  return {
    get: (key) => client.get(key),
    eval: (script, args) => client.eval(script, args),
    del: (keys) => client.del(keys),
    check: () => client.ping(),
    close: () => client.destroy(),
  };
}

/** Done when Redis answers, or after `limitMs`. */
export async function whenConnected(redis: RedisClient, limitMs: number): Promise<void> {
  const limit = AbortSignal.timeout(limitMs);
  const answers = async () => {
    while (
      !limit.aborted &&
      !(await redis.check().then(
        () => true,
        () => false,
      ))
    )
      await sleep(20);
  };
  await Promise.race([answers(), once(limit, 'abort')]);
}

/** The URL class reads one host only, so the list of a cluster is taken apart here. */
function parseRedisUrl(url: string) {
  const [, protocol = '', user = '', password = '', hosts = '', path = ''] =
    /^([a-z+]+:)\/\/(?:([^:@]*)(?::([^@]*))?@)?([^/]*)\/?(.*)$/.exec(url) ?? [];
  const nodes = hosts.split(',').map((host) => {
    const { hostname, port } = new URL(`redis://${host}`);
    return { host: hostname, port: Number(port) };
  });
  const auth = {
    ...(user && { username: decodeURIComponent(user) }),
    ...(password && { password: decodeURIComponent(password) }),
  };
  return { protocol, auth, nodes, path };
}

/** Clusters and sentinels give up when no node answers the first time; a single client does not. */
async function keepTrying(connect: () => Promise<unknown>, onError: (error: unknown) => void) {
  for (;;) {
    try {
      await connect();
      return;
    } catch (error) {
      onError(error);
      await sleep(500, undefined, { ref: false });
    }
  }
}
