import { z } from 'zod';

/**
 * What a session holds. Edit this file when you take `session/` into your own app, or leave it alone
 * and pass your fields as the option `fields` of `sessionMiddleware`. Keep sessions small:
 * express-session hashes the whole session several times a request.
 */
export const sessionFields = z.object({
  /** The sanitized user: these three fields, never more. Absent before log-in. */
  user: z.object({ id: z.string(), email: z.string(), name: z.string() }).readonly().optional(),
  /** When the user last proved the password, in milliseconds since 1970. */
  authenticatedAt: z.number().optional(),
  /** How many pages this session has seen. */
  views: z.int().nonnegative().default(0),
});

/** What a new session starts with. */
export const newSession = () => sessionFields.parse({});
