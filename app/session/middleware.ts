import { sign } from 'cookie-signature';
import { type Request, type RequestHandler, Router } from 'express';
import expressSession from 'express-session';
import {
  alsoNamed,
  isSentFor,
  readCookie,
  requireValidCookie,
  type SessionCookie,
} from './cookie.ts';
import { createDeviceBinding, type DeviceBoundOption } from './device-bound.ts';
import { ExpressSessionStore } from './express-session-store.ts';
import { createLifecycle, type LifecycleOptions } from './lifecycle.ts';
import { createOpenSessions, type OpenSessionOptions } from './open-sessions.ts';
import { readOnlyView } from './read-only-session.ts';
import { isStored } from './record.ts';
import { newSessionId } from './session-id.ts';
import { areTimes, isBackend, LONGEST_TIMER_MS, requireAll } from './stores/require.ts';

export type SessionOptions<CookieName extends string = string> = LifecycleOptions &
  DeviceBoundOption &
  OpenSessionOptions & {
    cookie: SessionCookie<CookieName>;
    /**
     * The first secret signs the cookie, and all of them verify it. To rotate it on all instances: first
     * `[old, new]`, then `[new, old]`, then `[new]` once the sessions signed with `old` have ended.
     */
    secrets: readonly string[];
    /**
     * Whether a request should leave the session and its idle clock alone: see `canUpdateSession`.
     * Default: none
     */
    readOnly?: (req: Request) => boolean;
  };

/** For `app.use`, and for `sessionOf`. */
export type SessionMiddleware = RequestHandler[] & { readonly store: ExpressSessionStore };

const isText = (value: unknown) => typeof value === 'string' && value !== '';

/**
 * express-session, held to this module's rules. What happens to a request:
 * 1. express-session reads the cookie and asks the store for the session. If there is none, it makes
 *    one (`generate`) with a new id and the fields of a new session.
 * 2. `req.session` becomes read only: a copy of what is stored.
 * 3. A handler calls `updateSession`, `renewSession` or `endSession`. Each stores the change first and
 *    then replaces `req.session` with a new copy.
 * 4. The response begins. express-session sets the cookie if the id is new and the session was changed.
 * 5. The response ends. express-session saves a changed session, which the store ignores because it is
 *    already stored, or touches an unchanged one, which restarts the idle clock.
 */
export function sessionMiddleware<CookieName extends string>({
  secrets,
  cookie,
  readOnly: isReadOnly = () => false,
  deviceBound = false,
  ...options
}: SessionOptions<CookieName>): SessionMiddleware {
  const { idleMs, absoluteMs, answerWithinMs = 1500, askEveryMs = 3000 } = options;
  requireAll(
    [
      Array.isArray(secrets) && secrets.length > 0 && secrets.every(isText),
      'secrets must be a list of strings, none of them empty',
    ],
    [cookie?.name && cookie.attributes, 'The cookie must have a name and attributes'],
    [options.fields === undefined || options.fields?.shape, 'fields must be a z.object() of zod 4'],
    isBackend(options.backend),
    ...areTimes({ idleMs, absoluteMs }),
    ...areTimes({ answerWithinMs, askEveryMs }, LONGEST_TIMER_MS),
  );
  requireValidCookie(cookie);
  const lifecycle = createLifecycle(options);
  const openSessions = createOpenSessions(lifecycle, {
    secrets,
    cookie,
    mayOpen: (...args) => store.device?.mayOpen(...args) ?? true,
    ...options,
  });
  const store = new ExpressSessionStore(lifecycle, cookie, openSessions);
  if (deviceBound) {
    const paths = deviceBound === true ? {} : deviceBound;
    store.device = createDeviceBinding({ store, secrets, cookie, ...paths });
  }
  const session = expressSession({
    store,
    name: cookie.name,
    cookie: cookie.attributes,
    secret: [...secrets],
    genid: newSessionId,
    resave: false,
    saveUninitialized: false,
  });

  // express-session treats the fields that are present after `generate` as unchanged. So a new session
  // gets its first fields here, and a request that only reads stores nothing and sets no cookie.
  const generate = store.generate;
  store.generate = (req) => {
    generate(req);
    const lost = readCookie(req.headers.cookie, cookie.name, secrets) !== undefined;
    Object.assign(req.session, lifecycle.fresh({ lost }));
  };

  const protect: RequestHandler = (req, _res, next) => {
    // Express 4 does not catch what an async handler throws: the first SessionGone would end the process.
    if ('lazyrouter' in req.app)
      throw new Error('sessionMiddleware needs Express 5. On Express 4, use dropInStore');
    if (!Object.is(req.sessionStore, store)) return next(); // the session of another sessionMiddleware
    req.session = readOnlyView(req.session);
    if (isReadOnly(req)) store.readOnly.add(req.session);
    next();
  };

  const { importFrom } = options;
  const oldName = importFrom?.cookieName ?? cookie.name;
  const sessionByOldName: RequestHandler = (req, res, next) => {
    const { cookie: sent } = req.headers;
    req.headers.cookie = alsoNamed(sent, oldName, cookie.name);
    session(req, res, next); // reads the cookie before it returns
    req.headers.cookie = sent;
  };
  if (oldName !== cookie.name)
    store.oldIdOf = ({ headers }) => {
      const old = readCookie(headers.cookie, oldName, secrets);
      return old && old.signedBy >= 0 ? old.id : undefined;
    };

  // During a rotation, a cookie signed with an old secret is signed again with the new one.
  // Otherwise the visitor would be logged out when the old secret is removed. The cookie of an imported
  // session gets its new name, attributes and expiry.
  const [newest = ''] = secrets;
  const signAgain: RequestHandler = (req, res, next) => {
    if (!Object.is(req.sessionStore, store)) return next();
    const maxAge = store.maxAgeOf(req.session) ?? undefined;
    const sent = readCookie(req.headers.cookie, cookie.name, secrets);
    const isImport = importFrom?.isUnchanged(req.session);
    if (isStored(req.session) && (sent?.signedBy !== 0 || isImport))
      res.cookie(cookie.name, `s:${sign(req.sessionID, newest)}`, { ...cookie.attributes, maxAge });
    next();
  };
  const noteProtocol: RequestHandler = (req, _res, next) => {
    if (req.secure) store.cameSecurely.add(req);
    next();
  };
  const handlers = [noteProtocol, importFrom ? sessionByOldName : session, protect];
  // In this order: a thief's copy of a bound session's cookie must not be signed with the new secret.
  if (store.device) handlers.push(store.device.handler);
  if (importFrom || secrets.length > 1) handlers.push(signAgain);
  const { path } = cookie.attributes;
  if (path === '/') return Object.assign(handlers, { store });
  // Elsewhere the browser would not send the cookie, so each request would start another session.
  const inPath = Router().use(handlers);
  const ifInPath: RequestHandler = (req, res, next) =>
    isSentFor(req.originalUrl, path) ? inPath(req, res, next) : next();
  return Object.assign([ifInPath], { store });
}
