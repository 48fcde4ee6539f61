import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { publicKey } from './device-proof.ts';
import type { sessionFields } from './fields.ts';

/** What the session module itself stores in addition to the fields. */
const sessionStamp = z.object({
  /** Counts the changes; compare-and-set compares it. See `isStored` and `hasMoved`. */
  version: z.int().nonnegative(),
  /** The absolute clock starts here, in milliseconds since 1970. */
  createdAt: z.number(),
  /** The idle clock starts here, in milliseconds since 1970. */
  lastSeenAt: z.number(),
  /** The cookie outlives the browser and ends with the absolute clock. */
  persistent: z.boolean().optional(),
  /** The key of the browser that the session is bound to. */
  boundTo: z
    .object({
      id: z.string(),
      key: publicKey,
      /** When the browser first proved the key, in milliseconds since 1970. Until then, nothing is refused. */
      since: z.number().optional(),
    })
    .optional(),
});

/** An app that passes its own `fields` adds their types here. */
export interface SessionFields extends z.infer<typeof sessionFields> {}

/** The fields, which `updateSession` may change. */
export type SessionDraft = SessionFields;
type FieldsSchema = z.ZodObject & z.ZodType<SessionFields>;
/** The option is required once an app declares a field that is always there and that `fields.ts` lacks. */
export type FieldsOption =
  z.infer<typeof sessionFields> extends SessionFields
    ? { fields?: FieldsSchema }
    : { fields: FieldsSchema };
export type SessionStamp = z.infer<typeof sessionStamp>;
/** A session as the store keeps it and as `req.session` shows it. */
export type SessionRecord = DeepReadonly<SessionDraft & SessionStamp>;
/** What a session begins with. A field that is missing gets its default. */
export type SessionStart = DeepReadonly<{
  [Field in keyof SessionDraft]?: SessionDraft[Field] | undefined;
}>;
type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

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

/** The fields of a session, as a copy that can be edited. */
export function draftOf(session: SessionRecord & { cookie?: unknown }): SessionDraft {
  const { version, createdAt, lastSeenAt, persistent, boundTo, cookie, ...fields } = session;
  return copyOf(fields) as SessionDraft;
}

/** A deep copy of a JSON value, made at each change: structuredClone would be slow for that. */
export function copyOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(copyOf);
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, copyOf(each)]));
}

// express-session and the session's stamp would hide fields of these names, or be hidden by them.
const RESERVED = new Set([
  ...['id', 'req', 'cookie', 'save', 'touch', 'reload', 'regenerate', 'resetMaxAge', 'destroy'],
  'toJSON',
  ...Object.keys(sessionStamp.shape),
]);

/**
 * How sessions with these fields are written and read.
 * @param onUnreadable called with the reason when a text is not a session: it is truncated, or an
 *   incompatible version of the app wrote it
 * @throws TypeError when a field has a reserved name, or is neither optional nor has a default
 */
export function recordFormat(fields: z.ZodObject, onUnreadable: (reason: string) => void) {
  for (const name of Object.keys(fields.shape))
    if (RESERVED.has(name) || name in Object.prototype)
      throw new TypeError(`Rename the session field "${name}": that name is reserved`);
  const [lacking] = fields.safeParse({}).error?.issues ?? [];
  if (lacking)
    throw new TypeError(`A session field must be optional or have a default. ${reasonOf(lacking)}`);
  // Loose: keeps the fields of a newer version of the app, which may run beside this one. It keeps no
  // undeclared names inside a field.
  const anyDraft = fields.loose();
  const anyRecord = anyDraft.extend(sessionStamp.shape);

  /**
   * @throws ZodError when the draft holds something that the fields do not allow, and TypeError when
   *   it would not be the same after JSON and another parse: both are programming errors
   */
  function recordOf(draft: object, stamp: SessionStamp): SessionRecord {
    // A draft may contain the optional fields of the stamp, as `{ ...old }` does, but must not set them.
    const parsed = anyDraft.parse(draft);
    if (!isDeepStrictEqual(parsed, draft)) requireStable(parsed);
    const { persistent, boundTo, ...checked } = parsed;
    for (const [name, value] of Object.entries(checked))
      if (value !== undefined) requireJson(value, name);
    return { ...checked, ...sessionStamp.parse(stamp) } as SessionRecord;
  }

  /** Reading a session parses its fields again, and each request would store what came out of that. */
  function requireStable(parsed: Record<string, unknown>): void {
    const { data = {}, error } = anyDraft.safeParse(parsed);
    const changed = Object.keys(parsed).find(
      (name) => !isDeepStrictEqual(data[name], parsed[name]),
    );
    const name = error?.issues[0]?.path[0] ?? changed;
    if (name !== undefined)
      throw new TypeError(
        `zod would change or refuse the session field ${String(name)} when the session is read`,
      );
  }

  /** Undefined if unreadable: the visitor starts afresh instead of getting an error on every page. */
  function parse(text: string): SessionRecord | undefined {
    try {
      return anyRecord.parse(JSON.parse(text)) as SessionRecord;
    } catch (error) {
      const [issue] = error instanceof z.ZodError ? error.issues : [];
      onUnreadable(issue ? reasonOf(issue) : 'not JSON');
      return undefined;
    }
  }

  return { recordOf, parse };
}

const reasonOf = ({ path, message }: z.core.$ZodIssue) => `${path.join('.')}: ${message}`;

/** Far below what express-session, which hashes each session, and Redis can take. */
const MAX_LEVELS = 500;

/** A Date would come back as a string, a Map as `{}`: no later request could read the session. */
function requireJson(value: unknown, place: string, levels = 1): void {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return;
  if (typeof value === 'number' && Number.isFinite(value)) return;
  const prototype: unknown = typeof value === 'object' ? Object.getPrototypeOf(value) : undefined;
  if (prototype !== Object.prototype && prototype !== null && !Array.isArray(value))
    throw new TypeError(`JSON cannot store the session field ${place}`);
  if (levels > MAX_LEVELS) {
    const [field] = place.split('.');
    throw new TypeError(`The session field ${field} has more than ${MAX_LEVELS} levels`);
  }
  for (const [name, each] of Object.entries(value as object))
    if (each !== undefined || Array.isArray(value))
      requireJson(each, `${place}.${name}`, levels + 1);
}
