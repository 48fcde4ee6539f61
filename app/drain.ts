import { once } from 'node:events';
import type { Server, ServerResponse } from 'node:http';
import { Server as NetServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Prepares `server` for its end. The function it returns takes no new connection, finishes what is
 * under way, and is done when the last connection is closed.
 *
 * No idle connection is closed for `lingerMs`: a proxy may be sending a POST on it at this moment,
 * which would stay unanswered and which it may not send again. Each answer meanwhile says
 * `Connection: close`. A proxy that gives up its idle connections sooner than that loses no request.
 */
export function drainable(server: Server): (lingerMs: number) => Promise<void> {
  const underWay = new Set<ServerResponse>();
  let draining = false;
  server.prependListener('request', (_req, res) => {
    if (draining) res.setHeader('Connection', 'close');
    underWay.add(res);
    res.once('close', () => underWay.delete(res));
  });

  return async (lingerMs) => {
    draining = true;
    for (const res of underWay) if (!res.headersSent) res.setHeader('Connection', 'close');
    const closed = once(server, 'close');
    // Not the close() of an HTTP server, which closes the idle connections at once.
    NetServer.prototype.close.call(server);
    await Promise.race([closed, sleep(lingerMs)]);
    const sweep = setInterval(() => server.closeIdleConnections(), 20);
    await closed;
    clearInterval(sweep);
  };
}
