import { once } from 'node:events';
import type { Server, ServerResponse } from 'node:http';
import { Server as NetServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Express } from 'express';
import { nodeHttp } from '../http/node-http.ts';

/**
 * @returns a function that stops taking connections, and waits until the last one is closed. For
 *   `lingerMs` it closes no idle connection, because a proxy may be sending a POST on it, and may not
 *   send it again. Meanwhile each response says `Connection: close`.
 */
export function prepareDrain(server: Server, app: Express): (lingerMs: number) => Promise<void> {
  let draining = false;
  // Faster than keeping a list of the responses under way.
  app.response.writeHead = function (this: ServerResponse, ...args: never[]) {
    if (draining) this.setHeader('Connection', 'close');
    return nodeHttp.ServerResponse.prototype.writeHead.apply(this, args as never) as never;
  };

  return async (lingerMs) => {
    draining = true;
    app.emit('drain'); // open streams end
    const closed = once(server, 'close');
    // The close() of an HTTP server would close idle connections at once.
    NetServer.prototype.close.call(server);
    await Promise.race([closed, sleep(lingerMs, undefined, { ref: false })]);
    const sweep = setInterval(() => server.closeIdleConnections(), 20);
    await closed;
    clearInterval(sweep);
  };
}
