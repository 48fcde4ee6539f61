import type { RequestHandler, Response } from 'express';
import { Refusal } from '../http/refusal.ts';
import { type EndReason, type SessionMiddleware, sessionOf } from '../session/index.ts';

const DEFAULTS = {
  /**
   * The pages of a browser share one. Over plain HTTP they cannot, because there are no Web Locks, so each
   * page in view holds one of the browser's six connections.
   */
  perSession: 4,
  /** In this process: each holds a connection, and a proxy holds two. */
  total: 1000,
  /**
   * Shorter than the 30 s after which the Caddyfile in deploy/ ends a response, so the browser opens a new
   * stream instead of losing one. It also spreads the streams over new workers.
   */
  streamMs: 25_000,
  /** Shorter than the silence after which `http-server.ts` ends a connection. */
  pingMs: 10_000,
};

export type EventStreams = ReturnType<typeof eventStreams>;

/**
 * Tells an open page within seconds that its session has ended. It runs before the session's
 * middleware, so a stream does not restart the session's idle clock.
 */
export function eventStreams(sessions: SessionMiddleware, options: Partial<typeof DEFAULTS> = {}) {
  const { perSession, total, streamMs, pingMs } = { ...DEFAULTS, ...options };
  const streams = new Map<Response, () => void>();
  const countOf = new Map<string, number>();
  let draining = false;

  /** A program gets the user at once. An event stream begins with the user, and ends with the session. */
  const show: RequestHandler = async (req, res) => {
    const isStream = req.method === 'GET' && /^text\/event-stream\b/.test(req.get('Accept') ?? '');
    req.wantsJson = true;
    const session = await sessionOf(req, sessions);
    if (res.closed) return; // 'close' has already happened
    const user = session?.fields.user ?? null;
    if (!isStream) return res.json({ user });

    const open = session ? (countOf.get(session.handle) ?? 0) : 0;
    if (open >= perSession || streams.size >= total)
      throw new Refusal(503, 'Too many streams are open.', { 'Retry-After': '30' });
    begin(res, user?.id);
    req.respondedAt = performance.now();
    if (!session || draining) return end(res, session ? undefined : 'ended');

    countOf.set(session.handle, open + 1);
    // A stream that has ended may close much later: with pipelining, it waits until the response to an
    // earlier request has been sent.
    const finish = (reason?: EndReason) => {
      stop();
      clearInterval(ping);
      clearTimeout(timeout);
      if (!res.writableEnded) end(res, reason);
    };
    const stop = session.onEnd(finish);
    const ping = setInterval(() => res.write(':\n\n'), pingMs);
    const timeout = setTimeout(finish, streamMs);
    streams.set(res, finish);
    res.once('close', () => {
      finish();
      streams.delete(res);
      const left = (countOf.get(session.handle) ?? 1) - 1;
      if (left > 0) countOf.set(session.handle, left);
      else countOf.delete(session.handle);
    });
  };

  /** Ends all streams, open ones and later ones, so that their browsers turn to another process. */
  const drain = () => {
    draining = true;
    for (const finish of streams.values()) finish();
  };

  return { show, drain };
}

function begin(res: Response, user: string | undefined): void {
  // X-Accel-Buffering: nginx passes each event on at once.
  res.setHeader('Content-Type', 'text/event-stream').setHeader('X-Accel-Buffering', 'no');
  // At random, so that after a drain the browsers do not all come back at once.
  const retryMs = Math.round(500 + 1000 * Math.random());
  res.write(`retry: ${retryMs}\n\n${event({ user })}`);
}

/** If there is no reason, or the session has a new id, the browser opens a new stream. */
function end(res: Response, reason?: EndReason): void {
  res.end(reason && reason !== 'renewed' ? event({ ended: reason }) : undefined);
}

const event = (data: { user?: string | undefined; ended?: EndReason }) =>
  `data: ${JSON.stringify(data)}\n\n`;
