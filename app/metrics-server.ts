import cluster from 'node:cluster';
import { createServer } from 'node:http';
import express from 'express';
import type { Logger } from 'pino';
import { AggregatorRegistry, register } from 'prom-client';

/**
 * Answers Prometheus on a port of its own that only this machine reaches. In the primary it asks all
 * workers and adds up; in a worker it only lets the primary ask.
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
  const server = createServer(app);
  server.on('error', (err) => log.error({ err }, `No metrics: cannot listen on port ${port}`));
  server.listen(port, '127.0.0.1').unref();
}
