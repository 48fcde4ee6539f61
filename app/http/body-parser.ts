import express, { type RequestHandler } from 'express';
import { Refusal } from './refusal.ts';

export const UNSUPPORTED_TYPE = 'Unsupported request body. Send a form or JSON, encoded as UTF-8.';
export const TOO_LARGE = 'The request is too large.';

const MAX_BYTES = 10_240;
const parsers = {
  urlencoded: express.urlencoded({ extended: false, limit: MAX_BYTES }),
  json: express.json({ limit: MAX_BYTES }),
};

/**
 * Counts the bytes itself, because the parser would read an oversized body to its end. A body of
 * another type must be empty: a POST without a body, such as a log-out by `curl -X POST`, has no
 * type, and a proxy may send it in chunks.
 */
export const bodyParser: RequestHandler = (req, res, next) => {
  const type = req.is(Object.keys(parsers)) as keyof typeof parsers | false | null;
  if (type === null) return next(); // without Content-Length and Transfer-Encoding
  const maxBytes = type ? MAX_BYTES : 0;
  const refusal = () => (type ? new Refusal(413, TOO_LARGE) : new Refusal(415, UNSUPPORTED_TYPE));
  if (Number(req.get('Content-Length')) > maxBytes) throw refusal();

  // The parsers know UTF-8 by one of its names only.
  const contentType = req.headers['content-type'];
  req.headers['content-type'] = contentType?.replace(
    /(;\s*charset=)"?utf8"?(?=\s*(;|$))/i,
    '$1utf-8',
  );

  let settled = false;
  const settle = (error?: unknown) => {
    if (!settled) next(error);
    settled = true;
  };
  let bytes = 0;
  req.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > maxBytes) settle(refusal());
  });
  if (type) parsers[type](req, res, settle);
  else req.on('end', settle);
};

/**
 * Ends the connection if the client is still sending one second after the response. Node would read on for
 * as long as a request may take. If the connection closed at once, the client might not read the response.
 */
export const endUnreadBody: RequestHandler = (req, res, next) => {
  const end = () => req.complete || req.socket.destroy();
  if ('transfer-encoding' in req.headers || 'content-length' in req.headers)
    res.on('finish', () => req.complete || setTimeout(end, 1000).unref());
  next();
};
