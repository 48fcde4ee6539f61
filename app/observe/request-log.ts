import { randomUUID } from 'node:crypto';
import type { Request, RequestHandler } from 'express';
import type { Logger } from 'pino';
import { sessionInLog } from './audit.ts';
import type { Metrics } from './metrics.ts';
import { idsFromProxy, newTraceIds } from './trace-context.ts';
import type { Tracing } from './tracing.ts';

declare module 'express-serve-static-core' {
  interface Request {
    /** In every log line about this request, in its X-Request-Id header, and on its error page. */
    requestId: string;
    /** The unexpected error that ended this request. */
    fault?: unknown;
    /** When a stream began, by `performance.now()`: how long it stays open says nothing about the shop. */
    respondedAt?: number;
  }
}

type Options = {
  log: Logger;
  metrics: Metrics;
  secret: string;
  tracing?: Tracing | undefined;
};

/**
 * Logs only the fields listed here, because headers, bodies and queries may hold cookies, passwords
 * and other secrets.
 */
export function requestLog({ log, metrics, secret, tracing }: Options): RequestHandler {
  return (req, res, next) => {
    const started = performance.now();
    const sent = idsFromProxy(req);
    const requestId = sent.requestId ?? randomUUID();
    req.requestId = requestId;
    const span = tracing?.begin(req, sent.parent);
    req.trace = span?.ids ?? newTraceIds(sent.parent);
    res.set('X-Request-Id', requestId);
    res.on('close', () => {
      const ms = (req.respondedAt ?? performance.now()) - started;
      // 499, as in nginx: the client left before the response.
      const status = res.headersSent ? res.statusCode : 499;
      metrics.request(req, status, ms / 1000);
      // A path may hold the handle of a session, which is its key in the store.
      const path = req.originalUrl.split('?', 1)[0]?.replace(/[\w-]{43}/, '…');
      span?.end(status, path);
      const line = {
        requestId,
        ...req.trace,
        session: sessionInLog(req, secret),
        method: req.method,
        path,
        status,
        ms: Math.round(ms),
        aborted: res.writableFinished || req.respondedAt ? undefined : true,
      };
      if (req.fault === undefined) log[isMinor(req) ? 'debug' : 'info'](line, 'request');
      else log.error({ ...line, err: req.fault }, 'request failed');
    });
    if (span) span.run(next);
    else next();
  };
}

const isMinor = (req: Request) =>
  req.originalUrl.startsWith('/assets/') || req.respondedAt !== undefined;
