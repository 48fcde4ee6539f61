/** Carries what Express's own error handler needs to answer rightly. */
export abstract class SessionError extends Error {
  abstract readonly status: number;
  readonly headers: Record<string, string> = {};
}

/** The session was destroyed, renewed or expired since the request loaded it; nothing was changed. */
export class SessionGone extends SessionError {
  override name = 'SessionGone';
  readonly status = 409;
}

/** The store failed or did not answer in time. Whether the last write took place is unknown. */
export class StoreUnavailable extends SessionError {
  override name = 'StoreUnavailable';
  readonly status = 503;
  override readonly headers = { 'Retry-After': '2' };
}

/** Too many others change the same session at the same moment; nothing was changed. */
export class SessionBusy extends SessionError {
  override name = 'SessionBusy';
  readonly status = 503;
  override readonly headers = { 'Retry-After': '1' };
}

/** The browser would not get the cookie: it is Secure and the request came as plain HTTP. */
export class CookieUndeliverable extends SessionError {
  override name = 'CookieUndeliverable';
  readonly status = 400;
}
