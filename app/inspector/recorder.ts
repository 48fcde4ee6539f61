import { AsyncLocalStorage } from 'node:async_hooks';
import { isDeepStrictEqual } from 'node:util';
import type { Request, RequestHandler } from 'express';
import { sessionHandle } from '../session/session-id.ts';
import type { SessionEvent } from '../session/sessions.ts';
import type { RoundTrip } from '../storage/timed.ts';

type Recording = {
  method: string;
  path: string;
  /** Unknown while the request is under way. */
  status?: number;
  ms?: number;
  steps: Step[];
};

const MOST_SESSIONS = 500;
const MOST_REQUESTS = 20;
const MOST_STEPS = 60;
const LONGEST_PATH = 80;

/**
 * Remembers what the last requests of each session did to it, in the memory of this process alone:
 * of several processes, each knows what it has seen. Bounded; the session unused longest goes first.
 * @param toolbar shows on each page what its request did
 */
export function createRecorder({ toolbar = false } = {}) {
  const current = new AsyncLocalStorage<Recording>();
  const bySession = new Map<string, Recording[]>();

  // Takes down what happens, for the request on whose behalf it happens.
  const add = (step: Step) => {
    const steps = current.getStore()?.steps;
    if (steps && steps.length < MOST_STEPS) steps.push(step);
  };
  const onEvent = (event: SessionEvent) => add(describe(event));
  const onTrip = (trip: RoundTrip & { of: 'session' | 'document' }) =>
    add({ what: 'round-trip', ...trip });

  const middleware: RequestHandler = (req, res, next) => {
    const started = performance.now();
    const path = req.path.slice(0, LONGEST_PATH); // no query: it may hold what is nobody's business
    const recording: Recording = { method: req.method, path, steps: [] };
    res.on('close', () => {
      recording.status = res.statusCode;
      recording.ms = performance.now() - started;
      file(req, recording);
    });
    if (toolbar) res.locals.toolbar = recording;
    current.run(recording, next);
  };

  /**
   * Under the id the session has by now: a log-in begins a new list, for what was done under the old
   * id may have been somebody else's doing.
   */
  function file(req: Request, recording: Recording): void {
    const stored = (req.session?.version ?? 1) > 0;
    if (!req.sessionID || !stored) return;
    const handle = sessionHandle(req.sessionID);
    const before = bySession.get(handle) ?? [];
    bySession.delete(handle);
    bySession.set(handle, [recording, ...before].slice(0, MOST_REQUESTS));
    const [oldest] = bySession.keys();
    if (oldest !== undefined && bySession.size > MOST_SESSIONS) bySession.delete(oldest);
  }

  /** This request first, then the last ones of its session, newest first. */
  const recall = (req: Request) => {
    const before = bySession.get(sessionHandle(req.sessionID)) ?? [];
    return [current.getStore(), ...before].filter((r) => r !== undefined).slice(0, MOST_REQUESTS);
  };

  return { onEvent, onTrip, middleware, recall };
}

export type Recorder = ReturnType<typeof createRecorder>;
type Step = { what: string; [detail: string]: unknown };

/**
 * An event as a page or a program may see it: of records the difference, of errors nothing. Made at
 * once, for a session holds on to its request.
 */
function describe(event: SessionEvent): Step {
  if (event.type === 'committed' || event.type === 'renewed') {
    const { version } = event.to;
    const from = event.type === 'committed' ? event.from : {};
    return { what: event.type, version, changes: differences(from, event.to) };
  }
  const { type: what, ...details } = event;
  return 'error' in details ? { what } : { what, ...details };
}

function differences(from: Partial<Record<string, unknown>>, to: Record<string, unknown>) {
  return Object.keys({ ...from, ...to })
    .filter((field) => !['version', 'lastSeenAt', 'cookie'].includes(field))
    .filter((field) => !isDeepStrictEqual(from[field], to[field]))
    .map((field) => ({ field, from: from[field], to: to[field] }));
}
