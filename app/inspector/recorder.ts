import { AsyncLocalStorage } from 'node:async_hooks';
import { isDeepStrictEqual } from 'node:util';
import type { Request, RequestHandler } from 'express';
import {
  currentHandle,
  isStored,
  type SessionEvent,
  type SessionRecord,
} from '../session/index.ts';
import { shopFields } from '../shop-session.ts';
import type { RoundTrip } from '../storage/timed.ts';

type Recording = {
  method: string;
  path: string;
  /** In milliseconds since 1970. */
  at: number;
  /** Unknown until the request has ended. */
  status?: number;
  ms?: number;
  steps: Step[];
  /** A request that only polls for news is not shown. */
  isPoll?: true;
};

const FIELD_NAMES = shopFields.keyof().options;
const MAX_RECORDED_SESSIONS = 500;
const MAX_REQUESTS = 20;
const MAX_STEPS = 60;
const MAX_PATH = 80;
const AWAKE_MS = 30 * 60_000;

/**
 * Records what the last requests of each session did to it. Each process knows only its own.
 * @param alwaysOn otherwise it records only for half an hour after each visit to `/session` (the
 *   X-ray), because recording takes time
 */
export function createRecorder({ alwaysOn = true, now = performance.now.bind(performance) } = {}) {
  let awakeUntil = alwaysOn ? Number.POSITIVE_INFINITY : 0;
  const current = new AsyncLocalStorage<Recording>();
  const bySession = new Map<string, Recording[]>();

  // Records a step of the current request.
  const add = (step: () => Step) => {
    const steps = current.getStore()?.steps;
    if (steps && steps.length < MAX_STEPS) steps.push(step());
  };
  const onEvent = (event: SessionEvent) => add(() => describe(event));
  const onTrip = (trip: RoundTrip & { of: 'session' | 'document' }) =>
    add(() => ({ what: 'round-trip', ...trip }));

  const middleware: RequestHandler = (req, res, next) => {
    if (now() >= awakeUntil) return next();
    const path = req.path.slice(0, MAX_PATH); // without the query, which may hold a secret
    const recording: Recording = { method: req.method, path, at: Date.now(), steps: [] };
    const started = performance.now();
    res.on('close', () => {
      recording.status = res.statusCode;
      recording.ms = performance.now() - started;
      if (!recording.isPoll) addToSession(req, recording);
    });
    current.run(recording, next);
  };

  // A log-in starts a new list: the requests under the old id may be another person's.
  function addToSession(req: Request, recording: Recording): void {
    if (!req.sessionID || (req.session && !isStored(req.session))) return;
    const handle = currentHandle(req);
    const before = bySession.get(handle) ?? [];
    bySession.delete(handle); // so that it becomes the last key
    bySession.set(handle, [recording, ...before].slice(0, MAX_REQUESTS));
    if (bySession.size <= MAX_RECORDED_SESSIONS) return;
    const [oldest = ''] = bySession.keys();
    bySession.delete(oldest);
  }

  const currentRequest = () => current.getStore();

  const ignorePoll = () => {
    const request = currentRequest();
    if (request) request.isPoll = true;
  };

  /** Wakes the recorder. The current request comes first. */
  const recall = (req: Request) => {
    if (now() >= awakeUntil) bySession.clear(); // later requests were not recorded
    awakeUntil = Math.max(awakeUntil, now() + AWAKE_MS);
    const before = bySession.get(currentHandle(req)) ?? [];
    const request = currentRequest();
    return (request && !request.isPoll ? [request, ...before] : before).slice(0, MAX_REQUESTS);
  };

  return { onEvent, onTrip, middleware, currentRequest, ignorePoll, recall };
}

export type Recorder = ReturnType<typeof createRecorder>;
type Step = { what: string; [detail: string]: unknown };

/** Pages show which fields changed, but no errors. */
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
