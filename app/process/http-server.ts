import { createServer, type RequestListener, type Server } from 'node:http';

/**
 * Ends the connection of a client that takes too long to send a request, and of one that does not read
 * its answer: otherwise it would hold the memory of the answer for as long as it likes.
 * @param options.stallMs how long an answer may go without progress, including the wait for a log-in's
 *   turn. An event stream must send something more often.
 */
export function createHttpServer(app: RequestListener, { stallMs = 20_000 } = {}): Server {
  const server = createServer({ connectionsCheckingInterval: 1000 }, app);
  server.headersTimeout = 5_000;
  server.requestTimeout = 10_000;
  server.timeout = stallMs;
  return server;
}
