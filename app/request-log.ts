import { randomUUID } from 'node:crypto';
import type { Request, RequestHandler } from 'express';
import type { Logger } from 'pino';

/**
 * One line for each request, when it is over. What it holds is listed here, field by field: never a
 * header or a body, which carry cookies and passwords, nor the query of a URL.
 */
export function requestLog(log: Logger): RequestHandler {
  return (req, res, next) => {
    const started = performance.now();
    const requestId = randomUUID();
    res.locals.requestId = requestId;
    res.set('X-Request-Id', requestId);
    res.on('close', () => {
      const line = {
        requestId,
        method: req.method,
        path: req.originalUrl.split('?', 1)[0],
        status: res.statusCode,
        ms: Math.round(performance.now() - started),
        // The client left before the answer was complete.
        ...(!res.writableFinished && { aborted: true }),
      };
      const fault: unknown = res.locals.fault;
      if (fault === undefined) log[asset(req) ? 'debug' : 'info'](line, 'request');
      else log.error({ ...line, err: fault }, 'request failed');
    });
    next();
  };
}

const asset = (req: Request) => req.originalUrl.startsWith('/assets/');
