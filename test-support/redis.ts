import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeCertificate } from './certificate.ts';
import { freePort } from './free-port.ts';
import { recipe } from './recipe.ts';
import { type RedisServer, serve } from './redis-server.ts';
import { until } from './until.ts';

export type { RedisServer } from './redis-server.ts';

type TlsRedisServer = RedisServer & { caFile: string };
type RedisCluster = { url: string; nodes: RedisServer[]; stop: () => Promise<void> };
type RedisSentinel = {
  url: string;
  master: RedisServer;
  replica: RedisServer;
  sentinels: RedisServer[];
  stop: () => Promise<void>;
};

const stopServer = (server: RedisServer) => server.stop();
const addresses = (servers: RedisServer[]) =>
  servers.map(({ port }) => `127.0.0.1:${port}`).join(',');

// Otherwise a master would wait up to 10 s at shutdown for a lagging replica.
const always = '--bind 127.0.0.1 --appendonly no --shutdown-timeout 0'.split(' ');
const inMemory = (dir: string) => [...always, '--save', '', '--dir', dir];

/** A Redis that keeps nothing on disk, unless `args` says otherwise. */
export async function startRedis(
  options: { args?: string[]; port?: number } = {},
): Promise<RedisServer> {
  const port = options.port ?? (await freePort());
  return serve(port, (dir) => ['--port', `${port}`, ...inMemory(dir), ...(options.args ?? [])]);
}

/** A Redis with the user of `deploy/redis/users.acl`. */
export async function startRedisWithUsers(): Promise<RedisServer> {
  const port = await freePort();
  const password = 'coat-check';
  const hash = createHash('sha256').update(password).digest('hex');
  const configure = async (dir: string) => {
    const file = join(dir, 'users.acl');
    await writeFile(file, await recipe('redis/users.acl', { 'SHA256-OF-THE-PASSWORD': hash }));
    return ['--port', `${port}`, ...inMemory(dir), '--aclfile', file];
  };
  const user = ['--user', 'cloakroom', '--pass', password, '--no-auth-warning'];
  const server = await serve(port, configure, () => user);
  return { ...server, url: `redis://cloakroom:${password}@127.0.0.1:${port}` };
}

/** A Redis that only speaks TLS, with a certificate signed by the private CA in `caFile`. */
export async function startTlsRedis(): Promise<TlsRedisServer> {
  const port = await freePort();
  const configure = async (dir: string) => {
    const { caFile, keyFile, certFile } = await makeCertificate(dir);
    const files = ['--tls-ca-cert-file', caFile, '--tls-key-file', keyFile];
    const tls = ['--tls-port', `${port}`, '--tls-auth-clients', 'no', '--tls-cert-file', certFile];
    return ['--port', '0', ...inMemory(dir), ...tls, ...files];
  };
  const server = await serve(port, configure, (dir) => ['--tls', '--cacert', join(dir, 'ca.pem')]);
  return { ...server, url: `rediss://localhost:${port}`, caFile: join(server.dir, 'ca.pem') };
}

/**
 * How long a master may be silent until the others declare it dead, in milliseconds. On a slow machine,
 * only a test of a failover may have a shorter time.
 */
const SILENCE_MS = 30_000;

async function startNode(silenceMs: number) {
  const bus = `${await freePort()}`;
  const options = `--cluster-enabled yes --cluster-announce-ip 127.0.0.1 --cluster-port ${bus} --cluster-node-timeout ${silenceMs}`;
  return { bus, node: await startRedis({ args: options.split(' ') }) };
}

/** A replica of `master`. Resolves once it has all the data. */
export async function startReplica(
  master: RedisServer,
  silenceMs = SILENCE_MS,
): Promise<RedisServer> {
  const { bus, node } = await startNode(silenceMs);
  await master.cli('CLUSTER', 'MEET', '127.0.0.1', `${node.port}`, bus);
  const id = (await master.cli('CLUSTER', 'MYID')).trim();
  await until(() => node.cli('CLUSTER', 'REPLICATE', id).then(() => true), 'a replica');
  const isSynced = async () => (await node.cli('ROLE')).includes('connected');
  await until(isSynced, 'synced');
  return node;
}

/** A Cluster of three masters without replicas. Resolves once all three report that it is ready. */
export async function startRedisCluster({ silenceMs = SILENCE_MS } = {}): Promise<RedisCluster> {
  await using cleanup = new AsyncDisposableStack();
  const nodes: RedisServer[] = [];
  for (const slots of ['0 5460', '5461 10922', '10923 16383']) {
    const { node, bus } = await startNode(silenceMs);
    cleanup.adopt(node, stopServer);
    nodes.push(node);
    await node.cli('CLUSTER', 'ADDSLOTSRANGE', ...slots.split(' '));
    await node.cli('CLUSTER', 'SET-CONFIG-EPOCH', `${nodes.length}`);
    await nodes[0]?.cli('CLUSTER', 'MEET', '127.0.0.1', `${node.port}`, bus);
  }
  for (const node of nodes) {
    const isOk = async () => (await node.cli('CLUSTER', 'INFO')).includes('cluster_state:ok');
    await until(isOk, `cluster_state:ok on ${node.url}`);
  }
  const running = cleanup.move();
  const url = `redis+cluster://${addresses(nodes)}`;
  return { url, nodes, stop: () => running.disposeAsync() };
}

/**
 * A master called cloakroom, its replica and three sentinels that all know each other.
 * @param options.relayTo returns the port through which everyone reaches the master
 */
export async function startRedisSentinel(
  options: {
    args?: string[];
    relayTo?: (port: number) => Promise<number>;
    silenceMs?: number;
  } = {},
): Promise<RedisSentinel> {
  await using cleanup = new AsyncDisposableStack();
  const args = ['--repl-diskless-sync-delay', '0', ...(options.args ?? [])];
  const master = cleanup.adopt(await startRedis({ args }), stopServer);
  const masterPort = (await options.relayTo?.(master.port)) ?? master.port;
  const replicaArgs = [...args, '--replicaof', '127.0.0.1', `${masterPort}`];
  const replica = cleanup.adopt(await startRedis({ args: replicaArgs }), stopServer);
  // Sentinels ask the master for its replicas when they start, and not again for 10 s.
  await until(
    async () => (await master.cli('INFO', 'replication')).includes('state=online'),
    `the replica of ${master.url} is online`,
  );
  const sentinels: RedisServer[] = [];
  for (let count = 0; count < 3; count++) {
    const port = await freePort();
    const configure = async (dir: string) => {
      const file = join(dir, 'sentinel.conf');
      const lines = [
        'bind 127.0.0.1',
        `port ${port}`,
        `dir "${dir}"`,
        `sentinel monitor cloakroom 127.0.0.1 ${masterPort} 2`,
        `sentinel down-after-milliseconds cloakroom ${options.silenceMs ?? SILENCE_MS}`,
        'sentinel failover-timeout cloakroom 3000',
      ];
      await writeFile(file, lines.join('\n'));
      return [file, '--sentinel'];
    };
    sentinels.push(cleanup.adopt(await serve(port, configure), stopServer));
  }
  for (const sentinel of sentinels) {
    const knowsAll = async () => {
      const info = await sentinel.cli('INFO', 'sentinel');
      return info.includes('status=ok') && info.includes('slaves=1,sentinels=3');
    };
    await until(knowsAll, `${sentinel.url} knows the replica and the other sentinels`);
  }
  const running = cleanup.move();
  const url = `redis+sentinel://${addresses(sentinels)}/cloakroom`;
  return { url, master, replica, sentinels, stop: () => running.disposeAsync() };
}
