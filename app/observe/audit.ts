import { hash } from 'node:crypto';
import type { Request } from 'express';
import type { Logger } from 'pino';
import { isStored } from '../session/index.ts';

type SecurityEvent =
  | 'log-in'
  | 'log-in-failed'
  | 'log-out'
  | 'registered'
  | 'password-changed'
  | 'sessions-ended'
  | 'refused'
  | 'limited';
export type Audit = (req: Request, event: SecurityEvent, details?: object) => void;

/** Logs what matters for security, a line each, tied to its request's line by the request id. */
export const createAudit =
  (log: Logger, secret: string): Audit =>
  (req, event, details) => {
    const requestId: unknown = req.res?.locals.requestId;
    const session = sessionInLog(req, secret);
    if (req.res) req.res.locals.audited = true;
    log.info({ event, requestId, session, address: req.ip, ...details }, event);
  };

/**
 * A session as the log may name it: the same in every line and process, and neither the id nor what
 * the store knows it by, nor to be computed from them without the secret.
 */
export function sessionInLog(req: Request, secret: string): string | undefined {
  // Without a session after a log-out: the id is still that of the session that was.
  if (!req.sessionID || (req.session && !isStored(req.session))) return undefined;
  return hash('sha256', `${secret} log:${req.sessionID}`, 'base64url').slice(0, 16);
}
