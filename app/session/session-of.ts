import type { IncomingMessage } from 'node:http';
import type { Request } from 'express';
import { ExpressSessionStore } from './express-session-store.ts';
import type { SessionMiddleware } from './middleware.ts';
import type { OpenSession } from './open-sessions.ts';

/**
 * The session of a WebSocket or an event stream, which stays open for longer than a request:
 *
 *     const session = await sessionOf(upgradeRequest, sessions);
 *     if (!session) return refuse();
 *     const stop = session.onEnd((reason) => socket.close(4401, reason));
 *     socket.on('close', stop);
 *
 * @param sessions what `sessionMiddleware` returned. Needed if the middleware has not run, as for an
 *   upgrade. If it has, this call stops the request from restarting the idle clock: a socket must not
 *   keep its session alive.
 * @returns undefined when there is no session, or when another site's page sent the request
 * @throws StoreUnavailable
 */
export async function sessionOf(
  req: IncomingMessage,
  sessions?: SessionMiddleware,
): Promise<OpenSession | undefined> {
  const { sessionStore, session } = req as Partial<Request>;
  const store = sessions?.store ?? sessionStore;
  if (!(store instanceof ExpressSessionStore))
    throw new Error('Pass sessionOf what sessionMiddleware returned');
  if (session) store.readOnly.add(session);
  return store.openSessions.open(req.headers);
}
