import cluster from 'node:cluster';
import express from 'express';
import type { Logger } from 'pino';
import { AggregatorRegistry, Counter, register } from 'prom-client';
import type { WorkerEvent } from '../process/primary.ts';

/**
 * The primary serves the metrics of all workers, and its own. A worker only answers the primary.
 * @returns a function that counts what happens to workers
 */
export function serveMetrics(port: number, log: Logger, supervised: boolean) {
  const workers = supervised ? new AggregatorRegistry() : undefined;
  if (cluster.isWorker) return undefined;
  const events = new Counter({
    name: 'cloakroom_worker_events_total',
    help: 'Workers that died, that were cut off before they had answered all requests (cut), or that did not start at a reload (start-failed)',
    labelNames: ['event'],
  });
  // Exported as 0 from the start, so that an alert sees the first event.
  for (const event of ['died', 'cut', 'start-failed']) events.inc({ event }, 0);
  const app = express().disable('x-powered-by');
  app.get('/metrics', async (_req, res) => {
    try {
      const own = register.metrics();
      const texts = workers ? [workers.clusterMetrics(), own] : [own];
      res.type(register.contentType).send((await Promise.all(texts)).join('\n'));
    } catch (err) {
      log.error({ err }, 'No metrics: a worker did not answer');
      res.sendStatus(503);
    }
  });
  const onListen = (err?: Error) =>
    err && log.error({ err }, `No metrics: cannot listen on port ${port}`);
  app.listen(port, '127.0.0.1', onListen).unref();
  return (event: WorkerEvent) => events.inc({ event });
}
