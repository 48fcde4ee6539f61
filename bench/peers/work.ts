// What the shop does around its pages, for the peers that do the same. They run with the argument `work`.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { collectDefaultMetrics, Histogram, register } from 'prom-client';
import { buffered, createLog } from '../../app/observe/log.ts';
import { client } from './shop.ts';

export const withWork = process.argv.includes('work');
/** The shop's limit for one session. For one address, it is ten times as much. */
export const CHANGES_PER_MINUTE = Number(process.env.CHANGES_PER_MINUTE ?? 3000);

const log = createLog('info', withWork ? buffered() : undefined);
if (withWork) collectDefaultMetrics();
const requests = new Histogram({
  name: 'request_seconds',
  help: 'Request duration in seconds, by method, route and status',
  labelNames: ['method', 'route', 'status'],
  buckets: [0.005, 0.02, 0.05, 0.1, 0.3, 1, 3],
});
export const metrics = () => register.metrics();

type Handled = { requestId: string; method: string; path: string; status: number; ms: number };

/** Counts a request and logs it in one line. */
export function record({ requestId, method, path, status, ms }: Handled): void {
  requests.observe({ method, route: path, status }, ms / 1000);
  log.info({ requestId, method, path, status, ms: Math.round(ms) }, 'request');
}

const LOCK_MS = 10_000;
const RELEASE =
  "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end";

/**
 * Waits for the lock of a session, for session packages that read the whole session when a request
 * arrives and write it when the response leaves. This is the lock of Redis's documentation ("Distributed
 * Locks with Redis", on one server). Returns a function that releases it.
 */
export async function lockSession(cookie: string): Promise<() => void> {
  const key = `lock:${cookie}`;
  const token = randomUUID();
  const options = { condition: 'NX', expiration: { type: 'PX', value: LOCK_MS } } as const;
  while (!(await client.set(key, token, options))) await sleep(1 + Math.random() * 5);
  return () => void client.eval(RELEASE, { keys: [key], arguments: [token] });
}
