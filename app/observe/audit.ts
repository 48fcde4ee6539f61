import { hash } from 'node:crypto';
import type { Request } from 'express';
import type { Logger } from 'pino';
import { isStored } from '../session/index.ts';

declare module 'express-serve-static-core' {
  interface Request {
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
  | 'device-registered'
  | 'device-proved'
  | 'device-refused'
  | 'limited';
export type Audit = (req: Request, event: SecurityEvent, details?: object) => void;

export const createAudit =
  (log: Logger, secret: string): Audit =>
  (req, event, details) => {
    const { requestId, trace, ip: address } = req;
    const session = sessionInLog(req, secret);
    req.audited = true;
    log.info({ event, requestId, ...trace, session, address, ...details }, event);
  };

/**
 * The session's name in the log. Without the secret, nobody can compute it from the id or the
 * handle.
 */
export function sessionInLog(req: Request, secret: string): string | undefined {
  // After a log-out there is no session, but still the id of the one that ended.
  if (!req.sessionID || (req.session && !isStored(req.session))) return undefined;
  return hash('sha256', `${secret} log:${req.sessionID}`, 'base64url').slice(0, 16);
}
