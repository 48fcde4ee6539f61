import type { Request, Response } from 'express';
import { Counter, collectDefaultMetrics, Histogram, register } from 'prom-client';
import type { SessionEvent } from './session/sessions.ts';

type Ask = (...args: never[]) => Promise<unknown>;

export type Metrics = ReturnType<typeof createMetrics>;

/** What Prometheus may ask of this process. Labels come from fixed sets only, never from a visitor. */
export function createMetrics() {
  register.clear();
  collectDefaultMetrics();
  const requests = new Histogram({
    name: 'cloakroom_request_seconds',
    help: 'Requests, by route and status',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.02, 0.05, 0.1, 0.3, 1, 3],
  });
  const sessions = new Counter({
    name: 'cloakroom_session_events_total',
    help: 'Sessions created, renewed and ended; conflicts retried; failures of the store',
    labelNames: ['event'],
  });
  const roundTrips = new Histogram({
    name: 'cloakroom_store_seconds',
    help: 'Round trips to the store. A refused write is one whose version was overtaken',
    labelNames: ['operation', 'outcome'],
    buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.5, 1.5],
  });

  const timed = async <T>(operation: string, answer: Promise<T>): Promise<T> => {
    const end = roundTrips.startTimer({ operation });
    try {
      const value = await answer;
      end({ outcome: value === false ? 'refused' : 'ok' });
      return value;
    } catch (error) {
      end({ outcome: 'failed' });
      throw error;
    }
  };

  return {
    request: (req: Request, res: Response, seconds: number) => {
      const route: unknown =
        req.route?.path ?? (req.originalUrl.startsWith('/assets/') ? '/assets' : 'none');
      requests.observe(
        {
          method: req.method,
          route: String(route),
          status: res.headersSent ? res.statusCode : 499,
        },
        seconds,
      );
    },
    session: ({ type }: SessionEvent) => sessions.inc({ event: type }),
    /** The same backend, measured. */
    timed: <B extends Record<string, Ask>>(backend: B): B =>
      Object.fromEntries(
        Object.entries(backend).map(([name, ask]) => [
          name,
          (...args: never[]) => timed(name, ask(...args)),
        ]),
      ) as B,
  };
}
