import type { RequestHandler } from 'express';

/**
 * Reads `req.protocol` once, while the client is connected. Express would compute it again at each use,
 * and after the client has left, the request would seem to have come over plain HTTP.
 */
export const rememberProtocol: RequestHandler = (req, _res, next) => {
  Object.defineProperty(req, 'protocol', { value: req.protocol });
  next();
};
