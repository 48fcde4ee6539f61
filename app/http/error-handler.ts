import { inspect } from 'node:util';
import type { ErrorRequestHandler, Request, RequestHandler } from 'express';
import type { Logger } from 'pino';
import type { Audit } from '../observe/audit.ts';
import { countRepeats } from '../observe/log.ts';
import { SessionError, SessionGone } from '../session/index.ts';
import { TOO_LARGE, UNSUPPORTED_TYPE } from './body-parser.ts';
import { nodeHttp } from './node-http.ts';
import type { Pages } from './pages.ts';
import { Refusal } from './refusal.ts';
import { returnPath } from './return-path.ts';

declare module 'express-serve-static-core' {
  interface Request {
    /** The page that shows an error of this request instead of the general error page. */
    errorPage?: { view: string; content: object };
  }
}

export const notFound: RequestHandler = () => {
  throw new Refusal(404, 'There is no page at this address.');
};

type Options = {
  log: Logger;
  audit: Audit;
  pages: Pages;
  wayBack: (path: string) => { href: string; label: string } | undefined;
  /** For developers only: the page shows the error and the request. */
  showFaults: boolean;
};

/** The one place where an error becomes a response: a page or `{"errorMessage"}`. */
export function errorHandler(options: Options): ErrorRequestHandler {
  const { log, audit, pages, wayBack, showFaults } = options;
  const warnBusy = countRepeats((count, message) =>
    log.warn({ event: 'busy', count }, `Responded with 503: ${message}`),
  );
  return (error: unknown, req, res, next) => {
    const { status, message, headers } = refusalFor(error);
    if (status === 503 && error instanceof Refusal) warnBusy(message);
    else if (status >= 500) req.fault = error;
    // These look like guessing or flooding.
    if (status === 429) audit(req, 'limited', { message });
    else if ([400, 403, 413, 415, 422].includes(status) && !req.audited) {
      // Only the name of a bad field: the rest may quote its value.
      const [field] = message.split(' ', 1);
      audit(req, 'refused', { status, message: status === 422 ? field : message });
    }
    if (res.headersSent) return next(error);
    res.removeHeader('Content-Type'); // left by a file that could not be sent
    // A log-in or log-out was faster than this page, so the session has a new id, or none.
    if (error instanceof SessionGone && req.method === 'GET')
      return res.redirect(303, returnPath(req.originalUrl));
    res.status(status).set({ 'Cache-Control': 'no-store', ...headers });
    if (req.wantsJson) return res.json({ errorMessage: message });
    const shown = { status, message: status === 422 ? withLabel(message) : message };
    if (req.errorPage) {
      const { view, content } = req.errorPage;
      return pages.showHtml(req, res, view, { ...content, ...shown });
    }
    return pages.showHtml(req, res, 'error', {
      title: nodeHttp.STATUS_CODES[status],
      ...shown,
      retry: status === 503 && req.method === 'GET' && returnPath(req.originalUrl),
      wayBack: wayBack(req.path),
      requestId: req.requestId,
      fault: showFaults && req.fault !== undefined && describeFault(req),
    });
  };
}

/** "newPassword must …" becomes "The new password must …", as the form calls this field. */
const withLabel = (message: string) =>
  message.replace(/^\w+/, (field) => `The ${field.replace(/[A-Z]/g, ' $&').toLowerCase()}`);

function describeFault(req: Request): string {
  const headers = Object.entries(req.headers).map(([name, value]) =>
    ['cookie', 'authorization'].includes(name) ? `${name}: …` : `${name}: ${String(value)}`,
  );
  return [inspect(req.fault), '', `${req.method} ${req.originalUrl}`, ...headers].join('\n');
}

function refusalFor(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof SessionError)
    return new Refusal(error.status, SESSION_MESSAGES[error.name] ?? '', error.headers);
  // Express and its body parsers set a status.
  const status = error instanceof Error && 'status' in error ? Number(error.status) : 500;
  const message = MESSAGES[status];
  return message
    ? new Refusal(status, message)
    : new Refusal(500, 'Something went wrong, and we logged it. Please try again.');
}

const SESSION_MESSAGES: Record<string, string> = {
  SessionGone: 'Your session has ended, so nothing was changed. Reload the page and try again.',
  StoreUnavailable:
    'The shop is unavailable right now. Your last change may not have been saved. Please try again in a moment.',
  TooManyConflicts:
    'Too many requests changed your session at the same time. This change was not saved. Please try again.',
  DeviceUnproved:
    'This session belongs to another browser, or this browser has lost its key. Log in again.',
  ProofUnavailable:
    'Your browser could not prove that it is the one that logged in. Please try again in a moment.',
  CookieUndeliverable:
    'The session cookie is sent over HTTPS only, but this request arrived as plain HTTP.',
};

const MESSAGES: Record<number, string> = {
  400: 'The server could not read this request.',
  412: 'The file has changed.',
  413: TOO_LARGE,
  415: UNSUPPORTED_TYPE,
  416: 'The file does not have this range.',
};
