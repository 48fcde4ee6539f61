import { STATUS_CODES } from 'node:http';
import type { ErrorRequestHandler, RequestHandler } from 'express';
import type { Audit } from '../observe/audit.ts';
import { SessionError, SessionGone } from '../session/errors.ts';
import { UNSUPPORTED_TYPE } from './body-parser.ts';
import { renderPage } from './pages.ts';
import { Refusal } from './refusal.ts';
import { returnPath } from './return-path.ts';
import { wantsJson } from './wants-json.ts';

export const notFound: RequestHandler = () => {
  throw new Refusal(404, 'There is nothing at this address.');
};

/** The one place where an error becomes an answer, as a page or as `{"errorMessage"}`. */
export const errorHandler =
  ({ audit }: { audit: Audit }): ErrorRequestHandler =>
  (error: unknown, req, res, next) => {
    const { status, message, headers } = refusalFor(error);
    if (status >= 500) res.locals.fault = error; // for the request's log line
    // What a browser used as meant does not send, and what guessing and flooding look like. A handler
    // that knows more has said it already.
    if (status === 429) audit(req, 'limited', { message });
    else if ([400, 403, 413, 415, 422].includes(status) && !res.locals.audited) {
      // Of a bad field only the name: the rest may quote it.
      const [field] = message.split(' ', 1);
      audit(req, 'refused', { status, message: status === 422 ? field : message });
    }
    if (res.headersSent) return next(error);
    res.removeHeader('Content-Type'); // that of a file which could not be sent
    // A page that was overtaken by a log-in or log-out: its session has another id, or none, by now.
    if (error instanceof SessionGone && req.method === 'GET')
      return res.redirect(303, returnPath(req.originalUrl));
    res.status(status).set({ 'Cache-Control': 'no-store', ...headers });
    if (wantsJson(req)) return res.json({ errorMessage: message });
    const { view = 'error', content = { title: STATUS_CODES[status] } } =
      res.locals.errorPage ?? {};
    const retry = status === 503 && req.method === 'GET' && returnPath(req.originalUrl);
    return renderPage(req, res, view, { ...content, status, message, retry });
  };

function refusalFor(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof SessionError)
    return new Refusal(error.status, SESSION_WORDS[error.name] ?? '', error.headers);
  // Express and its body parsers carry the status on the error; everything else is a fault.
  const status = error instanceof Error && 'status' in error ? Number(error.status) : 500;
  const words = SAFE_WORDS[status];
  return words
    ? new Refusal(status, words)
    : new Refusal(500, 'Something went wrong. We have noted it.');
}

const SESSION_WORDS: Record<string, string> = {
  SessionGone: 'Your session has ended in the meantime. Nothing was changed.',
  StoreUnavailable:
    'The cloakroom cannot be reached right now. If you were changing something, it may not have been kept. Please try again in a moment.',
  SessionBusy: 'Too much happened in your session at once. Nothing was changed; please try again.',
  CookieUndeliverable:
    'This shop keeps sessions over HTTPS only, and this request arrived as plain HTTP.',
};

const SAFE_WORDS: Record<number, string> = {
  400: 'The request could not be read.',
  412: 'The file is another by now.',
  413: 'The request is too large.',
  415: UNSUPPORTED_TYPE,
  416: 'The file has no such part.',
};
