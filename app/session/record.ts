import { z } from 'zod';
import { sessionFields } from './fields.ts';

/** What the session module itself stores beside the fields. */
const sessionStamp = z.object({
  /** Counts the changes; compare-and-set compares it. See `isStored` and `hasMoved`. */
  version: z.int().nonnegative(),
  /** The absolute clock starts here, in milliseconds since 1970. */
  createdAt: z.number(),
  /** The idle clock starts here, in milliseconds since 1970. */
  lastSeenAt: z.number(),
  /** The cookie outlives the browser and ends with the absolute clock. */
  persistent: z.boolean().optional(),
});

// Loose: keeps the fields of a newer version of the app, which may run beside this one.
const anyDraft = sessionFields.loose();
const anyRecord = anyDraft.extend(sessionStamp.shape);

export const FIELD_NAMES = sessionFields.keyof().options;

/** The fields, which `updateSession` may change. */
export type SessionDraft = z.infer<typeof sessionFields>;
export type SessionStamp = z.infer<typeof sessionStamp>;
/** A session as the store keeps it and as `req.session` shows it. */
export type SessionRecord = Readonly<SessionDraft & SessionStamp>;

declare module 'express-session' {
  // Readonly: `req.session.views = 1` does not compile. Change a session through updateSession.
  interface SessionData extends SessionRecord {}
  interface Session extends SessionRecord {}
}

/** The version of a new session, which the first change stores. */
export const NOT_STORED = 0;

/**
 * The version of a session that got a new id a moment ago. Late requests still arrive under the old id.
 * They see an empty session that they cannot change: as new visitors they would get a cookie, which
 * would overwrite the one from the log-in.
 */
export const MOVED = -1;

/** Whether this session belongs to a new visitor: the first change will store it. */
export const isNew = ({ version }: Pick<SessionRecord, 'version'>) => version === NOT_STORED;

/** Whether the store holds this session. */
export const isStored = ({ version }: Pick<SessionRecord, 'version'>) => version > NOT_STORED;

/** Whether this session lives on under a new id, which this request does not know. */
export const hasMoved = ({ version }: Pick<SessionRecord, 'version'>) => version === MOVED;

export function draftOf(session: SessionRecord & { cookie?: unknown }): SessionDraft {
  const { version, createdAt, lastSeenAt, persistent, cookie, ...draft } = session;
  return anyDraft.parse(draft);
}

/** @throws ZodError when the draft holds something that `fields.ts` does not allow: a programming error */
export const recordOf = (draft: SessionDraft, stamp: SessionStamp): SessionRecord => ({
  ...anyDraft.parse(draft),
  ...sessionStamp.parse(stamp),
});

/**
 * @returns undefined for text that is not a session (truncated, or written by an incompatible version
 *   of the app), so that its visitor starts afresh instead of meeting an error on every page
 */
export function parseRecord(text: string): SessionRecord | undefined {
  try {
    return anyRecord.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
