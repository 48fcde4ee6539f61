import { hash } from 'node:crypto';
import type { Request } from 'express';
import type { Logger } from 'pino';
import { isStored } from '../session/index.ts';

declare module 'express-serve-static-core' {
  interface Request {
    /** The audit log has a line about this request. */
    audited?: boolean;
  }
}

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

/** Logs each security event in a line of its own. The request id ties it to the request's line. */
export const createAudit =
  (log: Logger, secret: string): Audit =>
  (req, event, details) => {
    const { requestId, ip: address } = req;
    const session = sessionInLog(req, secret);
    req.audited = true;
    log.info({ event, requestId, session, address, ...details }, event);
  };

/**
 * The name of a session in the log: the same in every line and process. It is neither the id nor the
 * store's key, and without the secret it cannot be computed from them.
 */
export function sessionInLog(req: Request, secret: string): string | undefined {
  // After a log-out there is no session, but the id is still that of the session that ended.
  if (!req.sessionID || (req.session && !isStored(req.session))) return undefined;
  return hash('sha256', `${secret} log:${req.sessionID}`, 'base64url').slice(0, 16);
}
