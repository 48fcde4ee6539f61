/** Carries the status and headers that Express's own error handler reads. */
export abstract class SessionError extends Error {
  abstract readonly status: number;
  readonly headers: Record<string, string> = {};
}

/** The session ended, expired or got a new id after the request loaded it. Nothing was changed. */
export class SessionGone extends SessionError {
  override name = 'SessionGone';
  readonly status = 409;

  constructor(message = 'The session has ended or has a new id') {
    super(message);
  }
}

/** The store failed or did not answer in time. The last write may or may not have happened. */
export class StoreUnavailable extends SessionError {
  override name = 'StoreUnavailable';
  readonly status = 503;
  override readonly headers = { 'Retry-After': '2' };
}

/** Too many requests changed the same record at the same moment. Nothing was changed. */
export class TooManyConflicts extends SessionError {
  override name = 'TooManyConflicts';
  readonly status = 503;
  override readonly headers = { 'Retry-After': '1' };
}

/** The session is bound to the key of a browser, and the request came without its proof. */
export class DeviceUnproved extends SessionError {
  override name = 'DeviceUnproved';
  readonly status = 401;
}

/**
 * The browser could not prove its key just now: this server did not answer, for example, or the session had
 * just got a new id. The browser can try again.
 */
export class ProofUnavailable extends SessionError {
  override name = 'ProofUnavailable';
  readonly status = 503;
  override readonly headers = { 'Retry-After': '2' };
}

/** The browser would not get the cookie: it is Secure and the request came over plain HTTP. */
export class CookieUndeliverable extends SessionError {
  override name = 'CookieUndeliverable';
  readonly status = 400;
}
