import { sign } from 'cookie-signature';
import type { RequestHandler } from 'express';
import expressSession from 'express-session';
import { type SessionCookie, SessionStore } from './express-store.ts';
import { createSessions, type SessionsOptions } from './lifecycle.ts';
import { newSessionId } from './session-id.ts';

export type SessionOptions = SessionsOptions & {
  cookie: SessionCookie;
  /** Signs the cookie: the first signs, all verify, so a secret is rotated by `[new, old]`. */
  secrets: readonly string[];
};

/**
 * express-session, held to this module's rules. What happens to a request:
 * 1. express-session reads the cookie and asks the store for the session; where there is none it
 *    makes one (`generate`), under a new id and with the fields of an empty session.
 * 2. `req.session` is frozen: a picture of what is stored.
 * 3. A handler changes it by `updateSession`, `renewSession` or `endSession`. Each stores first and
 *    then makes a new picture `req.session`.
 * 4. The answer begins. express-session sets the cookie if the id is new and the session was changed.
 * 5. The answer ends. express-session saves what differs from what it had read, which the store
 *    ignores, for it is stored already; or, after a mere look, touches it: the idle clock restarts.
 */
export function sessionMiddleware({
  secrets,
  cookie,
  ...options
}: SessionOptions): RequestHandler[] {
  const sessions = createSessions(options);
  const store = new SessionStore(sessions, cookie);
  const session = expressSession({
    store,
    name: cookie.name,
    cookie: cookie.attributes,
    secret: [...secrets],
    genid: newSessionId,
    resave: false,
    saveUninitialized: false,
  });

  // A new session holds its first fields from the start: express-session takes what is there after
  // `generate` as unchanged, so looking alone stores nothing and sets no cookie.
  const generate = store.generate;
  store.generate = (req) => {
    generate(req);
    const lost = Boolean(
      req.headers.cookie?.split(/; */).some((c) => c.startsWith(`${cookie.name}=`)),
    );
    Object.assign(req.session, sessions.fresh({ lost }));
  };

  const freeze: RequestHandler = (req, _res, next) => {
    Object.freeze(req.session);
    next();
  };

  // While a secret is rotated, a cookie signed by an old one is signed anew: express-session alone
  // would leave it as it is until the old secret is taken away, and the visitor logged out.
  const [newest = ''] = secrets;
  const signAnew: RequestHandler = (req, res, next) => {
    const value = `s:${sign(req.sessionID, newest)}`;
    const maxAge = store.maxAgeOf(req.session) ?? undefined;
    if (req.session.version > 0 && !req.headers.cookie?.includes(encodeURIComponent(value)))
      res.cookie(cookie.name, value, { ...cookie.attributes, maxAge });
    next();
  };
  return secrets.length > 1 ? [session, freeze, signAnew] : [session, freeze];
}
