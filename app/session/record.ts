import { z } from 'zod';

/**
 * Everything a session may hold. This is the one file to edit when you take `session/` into your
 * own app. Keep it small: express-session hashes the whole of it several times a request. The names
 * id, req, cookie, save, touch, reload, regenerate, resetMaxAge and destroy are express-session's own.
 */
const sessionData = z.object({
  /** The sanitized user: these three fields, never more. Absent: a guest. */
  user: z.object({ id: z.string(), email: z.string(), name: z.string() }).readonly().optional(),
  /** When the user proved the password, in milliseconds since 1970. */
  authenticatedAt: z.number().optional(),
  /** How often the shop was shown in this session. */
  views: z.int().nonnegative(),
  /** A guest's cart, sku -> quantity. A user's is the account's: log-in moves this one there. */
  cart: z.record(z.string(), z.int().positive()).readonly(),
  /** A sentence for the next page, shown once. */
  flash: z.string().optional(),
  /** Handle of the guest's session that this one was: its cart is added to the account's once. */
  guest: z.string().optional(),
});

/** What the session module itself keeps beside it. */
const sessionStamp = z.object({
  /** How often the session was changed; compare-and-set compares it. In memory 0: not stored yet. */
  version: z.int().nonnegative(),
  /** The absolute clock starts here, in milliseconds since 1970. */
  createdAt: z.number(),
  /** The idle clock starts here, in milliseconds since 1970. */
  lastSeenAt: z.number(),
  /** The cookie outlives the browser: it ends with the absolute clock. */
  persistent: z.boolean().optional(),
});

// Fields that this version of the app does not know stay as they are: while the workers are replaced,
// a newer one stores them beside it.
const anyData = sessionData.loose();
const anyRecord = anyData.extend(sessionStamp.shape);

/** The fields that a change may touch. */
export const FIELDS = sessionData.keyof().options;

/** What a change may touch: see `updateSession`. */
export type SessionDraft = z.infer<typeof sessionData>;
export type SessionStamp = z.infer<typeof sessionStamp>;
/** A session as the store keeps it and as `req.session` shows it. */
export type SessionRecord = Readonly<SessionDraft & SessionStamp>;
export type SessionUser = NonNullable<SessionRecord['user']>;

declare module 'express-session' {
  // Readonly: `req.session.views = 1` does not compile. Change a session through updateSession.
  interface SessionData extends SessionRecord {}
  interface Session extends SessionRecord {}
}

/**
 * What a new session holds.
 * @param lost the browser showed a cookie, but there is no such session any more
 */
export const emptySession = ({ lost = false } = {}): SessionDraft => ({
  views: 0,
  cart: {},
  ...(lost && { flash: 'Your old ticket was no longer valid. This is a new one.' }),
});

/** The part of a session that a change may touch, as a copy. */
export function draftOf(session: SessionRecord & { cookie?: unknown }): SessionDraft {
  const { version, createdAt, lastSeenAt, persistent, cookie, ...data } = session;
  return anyData.parse(data);
}

/**
 * A draft, checked and stamped.
 * @throws ZodError when the draft holds what no session may hold: a programming error
 */
export const recordOf = (draft: SessionDraft, stamp: SessionStamp): SessionRecord => ({
  ...anyData.parse(draft),
  ...sessionStamp.parse(stamp),
});

/**
 * Reads what the store returned.
 * @returns undefined for text that is no session (cut off, or written by an incompatible version
 *   of the app): the visitor then starts afresh instead of meeting an error on every page
 */
export function parseSession(text: string): SessionRecord | undefined {
  try {
    return anyRecord.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
