import { AsyncLocalStorage } from 'node:async_hooks';
import type { ErrorRequestHandler, Request, RequestHandler } from 'express';
import { returnPath } from '../http/return-path.ts';
import { type Backend, currentHandle, StoreUnavailable } from '../session/index.ts';

export type PretendOutages = ReturnType<typeof pretendOutages>;

/** A backend that fails for some seconds in the requests of one session, to show its visitor an outage. */
export function pretendOutages(backend: Backend, seconds: number) {
  const endsAt = new Map<string, number>();
  const current = new AsyncLocalStorage<Request>();

  // It fails by request, not by key, because a log-in elsewhere reads all sessions of the account.
  const endOf = (req: Request | undefined) =>
    req?.sessionID && endsAt.size > 0 ? endsAt.get(currentHandle(req)) : undefined;
  const reach = async () => {
    if (endOf(current.getStore()) !== undefined)
      throw new Error('The race lab pretends that the store is down');
  };

  const middleware: RequestHandler = (req, _res, next) => current.run(req, next);

  /** Replaces the error page with one that counts the outage down and comes back by itself. */
  const errorPage: ErrorRequestHandler = (error, req, res, next) => {
    const end = endOf(req);
    if (end !== undefined && error instanceof StoreUnavailable && req.method === 'GET') {
      const left = Math.max(1, Math.ceil((end - performance.now()) / 1000));
      res.set('Refresh', String(left));
      const content = { title: 'Service Unavailable', left, retry: returnPath(req.originalUrl) };
      req.errorPage = { view: 'lab/outage', content };
    }
    next(error);
  };

  return {
    seconds,
    begin: (handle: string) => {
      endsAt.set(handle, performance.now() + seconds * 1000);
      setTimeout(() => endsAt.delete(handle), seconds * 1000).unref();
    },
    middleware,
    errorPage,
    backend: {
      get: (key) => reach().then(() => backend.get(key)),
      compareAndSet: (...args) => reach().then(() => backend.compareAndSet(...args)),
      destroy: (key) => reach().then(() => backend.destroy(key)),
    } satisfies Backend,
  };
}
