import type { Request } from 'express';
import { Counter, collectDefaultMetrics, Histogram, register } from 'prom-client';
import type { SessionEvent } from '../session/index.ts';
import type { RoundTrip } from '../storage/timed.ts';

export type Metrics = ReturnType<typeof createMetrics>;

const METHODS = new Set(['GET', 'HEAD', 'POST', 'OPTIONS', 'PUT', 'PATCH', 'DELETE']);

/** Labels have fixed values, never a visitor's text. */
export function createMetrics() {
  register.clear();
  collectDefaultMetrics();
  const requests = new Histogram({
    name: 'cloakroom_request_seconds',
    help: 'Request duration in seconds, by method, route and status',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.02, 0.05, 0.1, 0.3, 1, 3],
  });
  const sessions = new Counter({
    name: 'cloakroom_session_events_total',
    help: 'Session events (created, imported, loaded, committed, conflict, renewed, ended, touched, device-registered, device-proved, device-refused) and store failures',
    labelNames: ['event'],
  });
  const roundTrips = new Histogram({
    name: 'cloakroom_store_seconds',
    help: 'Round trips to the store of the sessions or of the documents (accounts, carts, orders), in seconds; refused: the stored version had changed',
    labelNames: ['of', 'operation', 'outcome'],
    buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.5, 1.5],
  });

  return {
    request: (req: Request, status: number, seconds: number) => {
      const method = METHODS.has(req.method) ? req.method : 'other';
      requests.observe({ method, route: routeOf(req), status }, seconds);
    },
    session: ({ type }: SessionEvent) => sessions.inc({ event: type }),
    roundTrip: ({ of, operation, outcome, ms }: RoundTrip & { of: string }) =>
      roundTrips.observe({ of, operation, outcome }, ms / 1000),
  };
}

export function routeOf(req: Request): string {
  const route: string | undefined = req.route?.path;
  return route ?? /^\/(assets|dbsc)(?=\/)/.exec(req.originalUrl)?.[0] ?? 'none';
}
