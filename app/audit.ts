import { createHmac } from 'node:crypto';
import type { Request } from 'express';
import type { Logger } from 'pino';

type SecurityEvent = 'log-in' | 'log-in-failed' | 'log-out' | 'refused' | 'limited';
export type Audit = (req: Request, event: SecurityEvent, details?: object) => void;

/** Logs what matters for security, a line each, tied to its request's line by the request id. */
export const createAudit =
  (log: Logger, secret: string): Audit =>
  (req, event, details) => {
    const requestId: unknown = req.res?.locals.requestId;
    const session = sessionInLog(req, secret);
    log.info({ event, requestId, session, address: req.ip, ...details }, event);
  };

/**
 * A session as the log may name it: the same in every line and process, and neither the id nor what
 * the store knows it by, nor to be computed from them without the secret.
 */
export function sessionInLog(req: Request, secret: string): string | undefined {
  if (!req.session?.version) return undefined;
  return createHmac('sha256', secret)
    .update(`log:${req.sessionID}`)
    .digest('base64url')
    .slice(0, 16);
}
