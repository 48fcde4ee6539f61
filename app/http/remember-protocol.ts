import type { RequestHandler } from 'express';

/** Express computes it at each use, and after the client has left, it says http. */
export const rememberProtocol: RequestHandler = (req, _res, next) => {
  Object.defineProperty(req, 'protocol', { value: req.protocol });
  next();
};
