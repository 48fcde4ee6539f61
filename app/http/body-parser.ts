import express, { type RequestHandler } from 'express';
import { Refusal } from './refusal.ts';

export const UNSUPPORTED_TYPE = 'Unsupported request body. Send a form or JSON, encoded as UTF-8.';

const limit = '10kb';
const parsers = {
  urlencoded: express.urlencoded({ extended: false, limit }),
  json: express.json({ limit }),
};

export const bodyParser: RequestHandler = (req, res, next) => {
  const type = req.is(Object.keys(parsers)) as keyof typeof parsers | false | null;
  if (type) return parsers[type](req, res, next);
  // A POST without a body, such as a log-out by `curl -X POST`, has no type either.
  if (type === false && req.get('Content-Length') !== '0') throw new Refusal(415, UNSUPPORTED_TYPE);
  next();
};
