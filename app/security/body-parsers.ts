import express, { type RequestHandler } from 'express';
import { Refusal, UNSUPPORTED_TYPE } from '../errors.ts';

const LIMIT = '10kb';

const refuseOtherTypes: RequestHandler = (req, _res, next) => {
  // A POST without a body, such as a log-out by `curl -X POST`, has no type either.
  const empty = req.get('Content-Length') === '0';
  if (!empty && req.is(['urlencoded', 'json']) === false) throw new Refusal(415, UNSUPPORTED_TYPE);
  next();
};

/** Forms without nesting, and JSON. A body of any other type is refused, not ignored. */
export const bodyParsers = [
  refuseOtherTypes,
  express.urlencoded({ extended: false, limit: LIMIT }),
  express.json({ limit: LIMIT }),
];
