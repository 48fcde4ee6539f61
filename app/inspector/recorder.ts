import { AsyncLocalStorage } from 'node:async_hooks';
import { isDeepStrictEqual } from 'node:util';
import type { Request, RequestHandler } from 'express';
import {
  currentHandle,
  FIELD_NAMES,
  type SessionEvent,
  type SessionRecord,
} from '../session/index.ts';
import type { RoundTrip } from '../storage/timed.ts';

type Recording = {
  method: string;
  path: string;
  /** Unknown while the request is under way. */
  status?: number;
  ms?: number;
  steps: Step[];
};

const SESSIONS_KEPT = 500;
const REQUESTS_KEPT = 20;
const STEPS_KEPT = 60;
const LONGEST_PATH = 80;
/** How long a look at an X-ray keeps the recorder awake, in milliseconds. */
const AWAKE_MS = 30 * 60_000;

/**
 * Remembers what the last requests of each session did to it. Each process remembers its own requests.
 * The memory is bounded: the session unused longest goes first.
 * @param always records from the start. Otherwise recording, which costs time, starts when someone
 *   opens an X-ray, and stops half an hour after the last one
 * @param now the clock, in milliseconds; tests bring their own
 */
export function createRecorder({ always = true, now = performance.now.bind(performance) } = {}) {
  let awakeUntil = always ? Number.POSITIVE_INFINITY : 0;
  const current = new AsyncLocalStorage<Recording>();
  const bySession = new Map<string, Recording[]>();

  // Adds a step to the request that causes it.
  const add = (step: () => Step) => {
    const steps = current.getStore()?.steps;
    if (steps && steps.length < STEPS_KEPT) steps.push(step());
  };
  const onEvent = (event: SessionEvent) => add(() => describe(event));
  const onTrip = (trip: RoundTrip & { of: 'session' | 'document' }) =>
    add(() => ({ what: 'round-trip', ...trip }));

  const middleware: RequestHandler = (req, res, next) => {
    if (now() >= awakeUntil) return next();
    const path = req.path.slice(0, LONGEST_PATH); // without the query, which may be private
    const recording: Recording = { method: req.method, path, steps: [] };
    const started = performance.now();
    res.on('close', () => {
      recording.status = res.statusCode;
      recording.ms = performance.now() - started;
      file(req, recording);
    });
    current.run(recording, next);
  };

  /**
   * Files a request under the id that its session has at the end. A log-in therefore begins a new
   * list: the requests under the old id may have been another person's.
   */
  function file(req: Request, recording: Recording): void {
    if (!req.sessionID || req.session?.version <= 0) return;
    const handle = currentHandle(req);
    const before = bySession.get(handle) ?? [];
    bySession.delete(handle); // to make it the newest key
    bySession.set(handle, [recording, ...before].slice(0, REQUESTS_KEPT));
    if (bySession.size <= SESSIONS_KEPT) return;
    const [oldest = ''] = bySession.keys();
    bySession.delete(oldest);
  }

  /** What this request has done so far; undefined while the recorder sleeps. */
  const currentRequest = () => current.getStore();

  /** This request first, then the last ones of its session, newest first. None while it slept. */
  const recall = (req: Request) => {
    if (now() >= awakeUntil) bySession.clear(); // older than the gap in the recording
    awakeUntil = Math.max(awakeUntil, now() + AWAKE_MS);
    const before = bySession.get(currentHandle(req)) ?? [];
    return [currentRequest(), ...before].filter((r) => r !== undefined).slice(0, REQUESTS_KEPT);
  };

  return { onEvent, onTrip, middleware, currentRequest, recall };
}

export type Recorder = ReturnType<typeof createRecorder>;
type Step = { what: string; [detail: string]: unknown };

/**
 * An event as a page or a program may see it: of records the difference, of errors nothing. Made at
 * once, for a session holds on to its request.
 */
function describe({ type: what, ...details }: SessionEvent): Step {
  if ('error' in details) return { what };
  if (!('to' in details)) return { what, ...details };
  const { to } = details;
  const from: Partial<SessionRecord> = 'from' in details ? details.from : {};
  const changes = FIELD_NAMES.filter((field) => !isDeepStrictEqual(from[field], to[field])).map(
    (field) => ({ field, from: from[field], to: to[field] }),
  );
  return { what, version: to.version, changes };
}
