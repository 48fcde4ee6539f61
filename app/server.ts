import cluster from 'node:cluster';
import { once } from 'node:events';
import { utimesSync, watch } from 'node:fs';
import { type Config, ConfigError, loadEnvFile, readConfig } from '../config/environment.ts';
import { buffered, createLog, readable } from './observe/log.ts';
import { forkWorker, runPrimary } from './process/primary.ts';

// `npm run dev` restarts this process when a file of the watched folders is saved. It cannot watch .env,
// which may not exist yet, so this process touches its own file instead.
const isWatched = cluster.isPrimary && process.argv.includes('--watched');
if (isWatched)
  watch('.', (_event, name) => {
    if (name === '.env') utimesSync(import.meta.filename, new Date(), new Date());
  });

const config = await configOrExit();
const metrics =
  config.metricsPort === undefined ? undefined : await import('./observe/metrics-server.ts');
if (process.argv.includes('--check')) {
  // Loading the code compiles it for NODE_COMPILE_CACHE. A worker's code is cached separately, because a
  // worker runs with other options.
  if (cluster.isPrimary) {
    const [code] = await once(forkWorker({}), 'exit');
    process.exit(code ?? 1);
  }
  const parts = ['./process/worker.ts', './storage/redis-client.ts'];
  await Promise.all(parts.map((part) => import(part)));
  process.exit();
}
const log = createLog(config.logLevel, config.production ? buffered() : readable());

// In production even a single worker has a primary, so that SIGHUP can replace it.
const supervised = config.production || config.workers > 1;
const countWorker = metrics?.serveMetrics(config.metricsPort ?? 0, log, supervised);
if (cluster.isPrimary && supervised) {
  runPrimary({
    count: config.workers,
    // All workers must have the same secret, even if it was generated at this start.
    env: config.production ? {} : { SESSION_SECRET: config.secrets.join() },
    log,
    onEvent: countWorker,
  });
} else {
  // Imported here: the primary does not need them, and a bad environment fails sooner.
  const { runWorker } = await import('./process/worker.ts');
  await runWorker(config, log);
}

async function configOrExit(): Promise<Config> {
  try {
    loadEnvFile();
    return readConfig(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`Cloakroom cannot start:\n${error.message.replace(/^/gm, '  ')}\n`);
    if (isWatched) await new Promise(() => {}); // until .env is corrected
    process.exit(1);
  }
}
