import cluster from 'node:cluster';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Express } from 'express';
import type { Logger } from 'pino';
import { demoAccounts, demoProducts } from '../../config/demo-data.ts';
import type { Config } from '../../config/environment.ts';
import type { AppOptions } from '../app.ts';
import { memoryBackend, redisBackend } from '../session/index.ts';
import { hitsInRedis } from '../storage/hits-in-redis.ts';
import { connectRedis, whenConnected } from '../storage/redis-client.ts';
import { devMemory } from './dev-memory.ts';
import { drainable } from './drain.ts';

/**
 * Serves the app in this process until a signal ends it. The process is alone, or one of several
 * workers.
 */
export async function serve(
  config: Config,
  log: Logger,
  createApp: (options: AppOptions) => Express,
): Promise<void> {
  const { store } = config;
  const redis = store === 'redis' ? connectRedis(config.redis, redisErrors(log)) : undefined;
  for (const warning of config.warnings) log.warn(warning);

  // Handed on at a restart in development only: production refuses to keep sessions in memory.
  const survivesRestart = process.argv.includes('--keep-memory') && store === 'memory';
  const memory = devMemory(config.secrets, survivesRestart);
  const app = createApp({
    production: config.production,
    trustProxy: config.trustProxy,
    log,
    session: {
      backend: redis ? redisBackend(redis) : memoryBackend(memory.sessions),
      secrets: memory.secrets,
      cookie: config.cookie,
      idleMs: config.idleMs,
      absoluteMs: config.absoluteMs,
    },
    storeName: store,
    checkStore: async () => redis?.check(),
    sharedHits: redis && ((name) => hitsInRedis(redis, name)),
    documents: redis ? redisBackend(redis, 'doc:') : memoryBackend(memory.documents),
    demoAccounts: config.demoAccounts ? demoAccounts : [],
    products: demoProducts,
    toolbar: !config.production,
    ...(config.lab && { lab: { outageSeconds: config.production ? 0 : 10 } }),
  });

  const server = createServer({ connectionsCheckingInterval: 1000 }, app);
  server.headersTimeout = 5_000;
  server.requestTimeout = 10_000;
  server.on('error', (err) => {
    log.fatal({ err }, `Cannot listen on ${config.host}:${config.port}`);
    if ('code' in err && err.code === 'EADDRINUSE' && !config.production)
      say(`Port ${config.port} is in use. Try: PORT=3001 npm run dev`);
    process.exit(1);
  });

  // Take no new connection, finish what is under way, then go.
  const drain = drainable(server, app);
  let closing = false;
  const close = async (code: number) => {
    if (closing) return;
    closing = true;
    const giveUp = () => {
      log.warn('What is still under way after 8 s is cut off');
      server.closeAllConnections();
    };
    setTimeout(giveUp, 8000).unref();
    // Only where others take over has a proxy a reason to wait.
    await drain(cluster.isWorker && code === 0 ? 1000 : 0);
    redis?.close();
    // Connections that the primary handed over at the last moment go back to it.
    if (cluster.worker) await once(cluster.worker.disconnect(), 'disconnect');
    process.exit(code);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void close(0));
  // A terminal that closes tells the whole process group; a worker hears from its primary.
  if (cluster.isWorker) process.on('SIGHUP', () => {});
  process.on('uncaughtException', (err) => {
    log.fatal({ err }, 'Unexpected error');
    void close(1);
  });

  // A new worker would answer its first visitors 503, while the others could have served them.
  if (redis) await whenConnected(redis, 2000);
  server.listen(config.port, config.host, () => {
    const { port } = server.address() as AddressInfo;
    log.info({ url: `http://${config.host}:${port}`, store }, 'Cloakroom is open');
    if (!config.production) say(`http://localhost:${port} shows the shop`);
  });
}

/** The first error in full, then one a minute: while Redis is away, each attempt fails. */
function redisErrors(log: Logger) {
  let quietUntil = 0;
  return (err: unknown) => {
    if (performance.now() < quietUntil) return log.debug({ err }, 'Redis cannot be reached');
    quietUntil = performance.now() + 60_000;
    log.error({ err }, 'Redis cannot be reached, trying again');
  };
}

/** To a person at a terminal, between the lines for machines. */
function say(sentence: string): void {
  process.stderr.write(`\n  ${sentence}\n\n`);
}
