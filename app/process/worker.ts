import cluster from 'node:cluster';
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Express } from 'express';
import type { Logger } from 'pino';
import { demoAccounts, demoProducts } from '../../config/demo-data.ts';
import { type Config, ConfigError } from '../../config/environment.ts';
import { createApp } from '../app.ts';
import { memoryBackend } from '../session/index.ts';
import { openStores } from '../storage/open-stores.ts';
import { rateLimitStore } from '../storage/rate-limit-store.ts';
import { devMemory } from './dev-memory.ts';
import { prepareDrain } from './drain.ts';
import { createHttpServer } from './http-server.ts';
import { listenUrl, shopUrl } from './shop-url.ts';

export async function runWorker(config: Config, log: Logger): Promise<void> {
  const { store, production, host } = config;
  const stores = await openStores(config, (what) => logErrors(log, what)).catch((err: unknown) => {
    if (err instanceof ConfigError) log.fatal(err.message);
    else log.fatal({ err }, 'Cannot open the stores');
    process.exit(1);
  });
  const { counters } = stores;
  for (const warning of config.warnings) log.warn(warning);
  const tracing =
    config.tracesUrl === undefined ? undefined : await openTracing(config.tracesUrl, log);

  const isWatched = cluster.isPrimary && process.argv.includes('--watched');
  const survivesRestart = isWatched && store === 'memory';
  const memory = devMemory(config.secrets, survivesRestart);
  const app = createApp({
    production,
    trustProxy: config.trustProxy,
    log,
    tracing,
    hsts: config.hsts,
    session: {
      backend: stores.sessions ?? memoryBackend(memory.sessions),
      secrets: memory.secrets,
      cookie: config.cookie,
      idleMs: config.idleMs,
      absoluteMs: config.absoluteMs,
      deviceBound: config.deviceBound,
    },
    storeName: store,
    checks: stores.checks,
    rateLimitStore: counters && ((name) => rateLimitStore(counters, name, config.secrets.join())),
    documents: stores.documents,
    demoAccounts: config.demoAccounts ? demoAccounts : [],
    products: demoProducts,
    toolbar: !production,
    lab: config.lab ? { outageSeconds: production ? 0 : 10 } : undefined,
  });

  const server = createHttpServer(app);
  server.on('error', (err) => {
    log.fatal({ err }, `Cannot listen on ${listenUrl(host, config.port)}`);
    if ('code' in err && err.code === 'EADDRINUSE' && !production)
      printForDeveloper(`Port ${config.port} is in use. Try: PORT=3001 npm run dev`);
    if (isWatched) return; // until .env names another port
    process.exit(1);
  });
  server.on('drop', onceAMinute(log, 'Too many connections: new ones are closed'));
  closeOnSignal(server, app, log, async () => {
    void stores.close();
    await tracing?.stop();
  });

  await stores.connected();
  server.listen(config.port, host, () => {
    const { port } = server.address() as AddressInfo;
    log.info({ url: listenUrl(host, port), store }, 'Cloakroom is open');
    if (!production) printForDeveloper(`Open the shop: ${shopUrl(host, port)}`);
  });
}

function closeOnSignal(
  server: Server,
  app: Express,
  log: Logger,
  closeRest: () => Promise<void>,
): void {
  const drain = prepareDrain(server, app);
  let closing = false;
  let cut = false;
  const close = async (code: number) => {
    if (closing) return;
    closing = true;
    const giveUp = () => {
      log.warn('Some requests are still running after 8 s: closing their connections');
      cut = true;
      server.closeAllConnections();
    };
    setTimeout(giveUp, 8000).unref();
    // Lingering for a proxy makes sense only if other workers take over.
    await drain(cluster.isWorker && code === 0 ? 1000 : 0);
    await closeRest();
    // Connections that the primary handed over at the last moment go back to it.
    if (cluster.worker) await once(cluster.worker.disconnect(), 'disconnect');
    process.exit(cut && cluster.isWorker ? 1 : code); // the primary counts it
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void close(0));
  // A terminal that closes sends SIGHUP to the whole process group. Only the primary acts on it.
  if (cluster.isWorker) process.on('SIGHUP', () => {});
  process.on('uncaughtException', (err) => {
    log.fatal({ err }, 'Unexpected error');
    void close(1);
  });
}

async function openTracing(url: string, log: Logger) {
  try {
    const { startTracing } = await import('../observe/tracing.ts');
    return startTracing(url, logErrors(log, 'the trace collector'));
  } catch (err) {
    log.fatal({ err }, 'Cannot trace. docs/operate.md says which packages to install');
    process.exit(1);
  }
}

function logErrors(log: Logger, what: string) {
  const complain = onceAMinute(log, `Cannot reach ${what}, retrying`);
  return (err: unknown) => complain({ err });
}

/** At most one a minute is logged as an error: during an outage, each attempt fails. */
function onceAMinute(log: Logger, message: string) {
  let quietUntil = 0;
  return (details: object = {}) => {
    if (performance.now() < quietUntil) return log.debug(details, message);
    quietUntil = performance.now() + 60_000;
    log.error(details, message);
  };
}

const printForDeveloper = (sentence: string) => process.stderr.write(`\n  ${sentence}\n\n`);
