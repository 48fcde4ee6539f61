import type { RequestHandler } from 'express';

/**
 * Reads `req.protocol` once, while the client is connected. Read later, a client that has left would
 * seem to use plain HTTP, and its change would be refused. And each read walks the trusted proxies.
 */
export const readProtocol: RequestHandler = (req, _res, next) => {
  Object.defineProperty(req, 'protocol', { value: req.protocol });
  next();
};
