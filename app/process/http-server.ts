import type { RequestListener, Server } from 'node:http';
import { nodeHttp } from '../http/node-http.ts';

/** For the stores, the files and the log. */
const RESERVED = 100;
const UNLIMITED = 1_000_000;

/**
 * Ends the connection of a client that takes too long to send a request, and of one that does not read
 * its response: otherwise the client would hold the memory of the response for as long as it likes. A
 * connection that would leave too few file descriptors for stores and files is closed at once, with the
 * event `drop`.
 * @param options.stallMs how long a response may go without progress, including the wait for a log-in's
 *   turn. An event stream must send something at shorter intervals.
 */
export function createHttpServer(app: RequestListener, { stallMs = 20_000 } = {}): Server {
  const server = nodeHttp.createServer({ connectionsCheckingInterval: 1000 }, app);
  server.headersTimeout = 5_000;
  server.requestTimeout = 10_000;
  server.timeout = stallMs;
  // Without this, a worker that once had no descriptor left would never get a connection again.
  const limit = fileDescriptors();
  const maxConnections = Math.floor(Math.max(limit - RESERVED, limit / 2));
  return Object.assign(server, { maxConnections, dropMaxConnection: true });
}

/** How many this process may open. Node.js has raised the limit as far as it could. */
function fileDescriptors(): number {
  Object.assign(process.report, { excludeNetwork: true }); // it would look up names
  const { userLimits } = process.report.getReport() as { userLimits?: Limits };
  return Number(userLimits?.open_files.soft ?? UNLIMITED) || UNLIMITED; // or the word "unlimited"
}

type Limits = { open_files: { soft: number | 'unlimited' } };
