/**
 * The public interface of this module. Code outside the module imports only this file, and `oldStore`
 * while it moves from another store (docs/migrate.md). Start with `sessionMiddleware`. Three functions
 * change a session: `updateSession`, `renewSession` and `endSession`. An app that keeps using plain
 * express-session needs only `session({ store: dropInStore(backend) })` (docs/drop-in-store.md).
 */

export { readCookie, type SessionCookie } from './cookie.ts';
export { crossSiteSign } from './cross-site.ts';
export { type DropInEvent, type DropInOptions, dropInStore } from './drop-in-store.ts';
export {
  CookieUndeliverable,
  DeviceUnproved,
  ProofUnavailable,
  SessionError,
  SessionGone,
  StoreUnavailable,
  TooManyConflicts,
} from './errors.ts';
export { newSession, sessionFields } from './fields.ts';
export type { Renewal, SessionEvent } from './lifecycle.ts';
export { type SessionMiddleware, type SessionOptions, sessionMiddleware } from './middleware.ts';
export type { EndReason, OpenSession } from './open-sessions.ts';
export type { SessionDraft, SessionFields, SessionRecord } from './record.ts';
export { draftOf, isNew, isStored } from './record.ts';
export {
  canUpdateSession,
  cookieReachesBrowser,
  currentHandle,
  describeDevice,
  describeSession,
  endSession,
  findSessions,
  renewSession,
  requireDeliverableCookie,
  updateSession,
} from './request-session.ts';
export { newSessionId, sessionHandle } from './session-id.ts';
export { sessionOf } from './session-of.ts';
// The stores, and their parts for an app that keeps other records in them.
export type { Backend, Versioned } from './stores/backend.ts';
export { compareAndSetLoop } from './stores/compare-and-set-loop.ts';
export { answersWithin } from './stores/deadline.ts';
export { type MemcachedCommands, memcachedBackend } from './stores/memcached.ts';
export { memoryBackend } from './stores/memory.ts';
export { MYSQL_SCHEMA, type MysqlPool, mysqlBackend } from './stores/mysql.ts';
export { POSTGRES_SCHEMA, type PostgresPool, postgresBackend } from './stores/postgres.ts';
export { type RedisCommands, redisBackend } from './stores/redis.ts';
export { SQLITE_SCHEMA, sqliteBackend } from './stores/sqlite.ts';
