import type { RequestHandler } from 'express';
import { Refusal } from './refusal.ts';

/** A proxy and this app could understand these requests differently. */
export const refuseMalformed: RequestHandler = (req, _res, next) => {
  const hosts = req.rawHeaders.filter((name, n) => n % 2 === 0 && name.toLowerCase() === 'host');
  if (hosts.length > 1) throw new Refusal(400, 'The request has more than one Host header.');
  if (!req.path.startsWith('/')) throw new Refusal(400, 'The request has no path.');
  next();
};
