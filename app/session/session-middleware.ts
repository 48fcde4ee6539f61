import { sign } from 'cookie-signature';
import type { RequestHandler } from 'express';
import expressSession from 'express-session';
import { newSessionId, SessionStore, type SessionStoreOptions } from './session-store.ts';

export type SessionOptions = SessionStoreOptions & {
  /** Signs the cookie: the first signs, all verify, so a secret is rotated by `[new, old]`. */
  secrets: readonly string[];
};

/**
 * express-session, held to this module's rules. After it, `req.session` is a frozen picture of the
 * stored session, or of an empty one; it changes through `updateSession`, `renewSession` and
 * `endSession`, which store first.
 */
export function sessionMiddleware({ secrets, ...options }: SessionOptions): RequestHandler[] {
  const store = new SessionStore(options);
  const session = expressSession({
    store,
    name: options.cookie.name,
    cookie: options.cookie.attributes,
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
    Object.assign(req.session, store.fresh());
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
    const { name, attributes } = options.cookie;
    if (req.session.version > 0 && !req.headers.cookie?.includes(encodeURIComponent(value)))
      res.cookie(name, value, attributes);
    next();
  };
  return secrets.length > 1 ? [session, freeze, signAnew] : [session, freeze];
}
