import cluster from 'node:cluster';
import express from 'express';
import type { Logger } from 'pino';
import { AggregatorRegistry, register } from 'prom-client';

/**
 * Answers Prometheus on a port that only this machine can reach. The primary asks all workers and adds
 * up their numbers. A worker only lets the primary ask.
 */
export function serveMetrics(port: number, log: Logger, supervised: boolean): void {
  const workers = supervised ? new AggregatorRegistry() : undefined;
  if (cluster.isWorker) return;
  const app = express().disable('x-powered-by');
  app.get('/metrics', async (_req, res) => {
    try {
      const text = await (workers ? workers.clusterMetrics() : register.metrics());
      res.type(register.contentType).send(text);
    } catch (err) {
      log.error({ err }, 'No metrics: a worker does not answer');
      res.sendStatus(503);
    }
  });
  const told = (err?: Error) =>
    err && log.error({ err }, `No metrics: cannot listen on port ${port}`);
  app.listen(port, '127.0.0.1', told).unref();
}
