import cluster from 'node:cluster';
import express from 'express';
import type { Logger } from 'pino';
import { AggregatorRegistry, register } from 'prom-client';

/** The primary serves the metrics of all workers. A worker only answers the primary. */
export function serveMetrics(port: number, log: Logger, supervised: boolean): void {
  const workers = supervised ? new AggregatorRegistry() : undefined;
  if (cluster.isWorker) return;
  const app = express().disable('x-powered-by');
  app.get('/metrics', async (_req, res) => {
    try {
      const text = await (workers ? workers.clusterMetrics() : register.metrics());
      res.type(register.contentType).send(text);
    } catch (err) {
      log.error({ err }, 'No metrics: a worker did not answer');
      res.sendStatus(503);
    }
  });
  const onListen = (err?: Error) =>
    err && log.error({ err }, `No metrics: cannot listen on port ${port}`);
  app.listen(port, '127.0.0.1', onListen).unref();
}
