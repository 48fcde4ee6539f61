import { STATUS_CODES } from 'node:http';
import type { ErrorRequestHandler, RequestHandler } from 'express';
import type { Audit } from '../observe/audit.ts';
import { SessionError, SessionGone } from '../session/index.ts';
import { UNSUPPORTED_TYPE } from './body-parser.ts';
import type { Pages } from './pages.ts';
import { Refusal } from './refusal.ts';
import { returnPath } from './return-path.ts';

declare module 'express-serve-static-core' {
  interface Request {
    /** The page that shows an error of this request, in place of the general error page. */
    errorPage?: { view: string; content: object };
  }
}

export const notFound: RequestHandler = () => {
  throw new Refusal(404, 'There is nothing at this address.');
};

type Options = {
  audit: Audit;
  pages: Pages;
  /** The link that an error page at this path offers beside the shop. */
  wayBack: (path: string) => { href: string; label: string } | undefined;
};

/** The one place where an error becomes an answer, as a page or as `{"errorMessage"}`. */
export const errorHandler =
  ({ audit, pages, wayBack }: Options): ErrorRequestHandler =>
  (error: unknown, req, res, next) => {
    const { status, message, headers } = refusalFor(error);
    if (status >= 500) req.fault = error;
    // A browser in normal use does not cause these: they look like guessing or flooding. A handler
    // that knows more has logged it already.
    if (status === 429) audit(req, 'limited', { message });
    else if ([400, 403, 413, 415, 422].includes(status) && !req.audited) {
      // Only the name of a bad field: the rest may quote its value.
      const [field] = message.split(' ', 1);
      audit(req, 'refused', { status, message: status === 422 ? field : message });
    }
    if (res.headersSent) return next(error);
    res.removeHeader('Content-Type'); // that of a file which could not be sent
    // A log-in or log-out overtook this page: its session has another id, or none, by now.
    if (error instanceof SessionGone && req.method === 'GET')
      return res.redirect(303, returnPath(req.originalUrl));
    res.status(status).set({ 'Cache-Control': 'no-store', ...headers });
    if (req.wantsJson) return res.json({ errorMessage: message });
    if (req.errorPage) {
      const { view, content } = req.errorPage;
      return pages.showHtml(req, res, view, { ...content, status, message });
    }
    const retry = status === 503 && req.method === 'GET' && returnPath(req.originalUrl);
    return pages.showHtml(req, res, 'error', {
      title: STATUS_CODES[status],
      status,
      message,
      retry,
      wayBack: wayBack(req.path),
      requestId: req.requestId,
    });
  };

function refusalFor(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof SessionError)
    return new Refusal(error.status, SESSION_WORDS[error.name] ?? '', error.headers);
  // Express and its body parsers carry the status on the error. Everything else is a fault.
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
  TooManyConflicts:
    'Too much happened in your session at once. Nothing was changed; please try again.',
  CookieUndeliverable:
    'This shop keeps sessions over HTTPS only, and this request arrived as plain HTTP.',
};

const SAFE_WORDS: Record<number, string> = {
  400: 'The request could not be read.',
  412: 'The file has changed.',
  413: 'The request is too large.',
  415: UNSUPPORTED_TYPE,
  416: 'The file has no such part.',
};
