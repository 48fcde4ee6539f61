/** The face of this module: everything an app may use. Nothing outside imports another file. */

// Questions about a request's session.
export { readCookie } from './cookie.ts';
// For an app that keeps express-session's own ways: `session({ store: dropInStore(backend) })`.
export { type DropInEvent, type DropInOptions, dropInStore } from './drop-in-store.ts';
// What goes wrong, and what happens.
export {
  CookieUndeliverable,
  SessionError,
  SessionGone,
  StoreUnavailable,
  TooManyConflicts,
} from './errors.ts';
// The fields, which the app declares in fields.ts.
export { newSession } from './fields.ts';
export type { SessionEvent } from './lifecycle.ts';
// For an app: the middleware, and the three ways to change a session.
export { type SessionOptions, sessionMiddleware } from './middleware.ts';
export type { SessionDraft, SessionRecord } from './record.ts';
export { draftOf, FIELD_NAMES, isNew, isStored, recordOf } from './record.ts';
export {
  canUpdateSession,
  cookieReachesBrowser,
  currentHandle,
  describeSession,
  endSession,
  lastSeen,
  renewSession,
  requireDeliverableCookie,
  updateSession,
} from './request-session.ts';
export { newSessionId, sessionHandle } from './session-id.ts';

// The stores, and their parts for an app that keeps other records in them.
export type { Backend, Versioned } from './stores/backend.ts';
export { compareAndSetLoop } from './stores/compare-and-set-loop.ts';
export { answersWithin } from './stores/deadline.ts';
export { memoryBackend } from './stores/memory.ts';
export { type RedisCommands, redisBackend } from './stores/redis.ts';
