import { randomUUID } from 'node:crypto';
import type { Request, RequestHandler } from 'express';
import type { Logger } from 'pino';
import type { Recorder } from '../inspector/recorder.ts';
import { sessionInLog } from './audit.ts';
import type { Metrics } from './metrics.ts';

type Options = { log: Logger; metrics: Metrics; recorder: Recorder; secret: string };

/**
 * One line for each request, when it is over. What it holds is listed here, field by field: never a
 * header or a body, which carry cookies and passwords, nor the query of a URL.
 */
export function requestLog({ log, metrics, recorder, secret }: Options): RequestHandler {
  return (req, res, next) => {
    const started = performance.now();
    const requestId = randomUUID();
    res.locals.requestId = requestId;
    res.set('X-Request-Id', requestId);
    res.on('close', () => {
      const ms = performance.now() - started;
      // 499, as nginx has it: the client left before there was an answer.
      const status = res.headersSent ? res.statusCode : 499;
      metrics.request(req, status, ms / 1000);
      recorder.file(req, res, ms);
      const line = {
        requestId,
        session: sessionInLog(req, secret),
        method: req.method,
        // Without the handle of a session, which is what the store knows it by.
        path: req.originalUrl.split('?', 1)[0]?.replace(/[\w-]{43}/, '…'),
        status,
        ms: Math.round(ms),
        // The client left before the answer was complete.
        ...(!res.writableFinished && { aborted: true }),
      };
      const fault: unknown = res.locals.fault;
      if (fault === undefined) log[isAsset(req) ? 'debug' : 'info'](line, 'request');
      else log.error({ ...line, err: fault }, 'request failed');
    });
    next();
  };
}

const isAsset = (req: Request) => req.originalUrl.startsWith('/assets/');
