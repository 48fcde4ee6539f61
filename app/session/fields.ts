import { z } from 'zod';

/**
 * Everything a session may hold. When you take `session/` into your own app, this is the one file to
 * edit. Keep sessions small: express-session hashes the whole session several times a request. It
 * reserves these names: id, req, cookie, save, touch, reload, regenerate, resetMaxAge, destroy.
 */
export const sessionFields = z.object({
  /** The sanitized user: these three fields, never more. A guest has none. */
  user: z.object({ id: z.string(), email: z.string(), name: z.string() }).readonly().optional(),
  /** When the user last proved the password, in milliseconds since 1970. */
  authenticatedAt: z.number().optional(),
  /** How many times this session has opened the shop. */
  views: z.int().nonnegative(),
  /** A guest's cart: sku -> quantity. Log-in moves it to the account. */
  cart: z.record(z.string(), z.int().positive()).readonly(),
  /** The lines that the last change removed from the cart, for "Undo". */
  removed: z.record(z.string(), z.int().positive()).readonly().optional(),
  /** A message for the next page, shown once. */
  flash: z.string().optional(),
  /** The handle of the guest session before log-in, so that its cart is added only once. */
  guest: z.string().optional(),
});

/** What a new session starts with. */
export const newSession = () => ({ views: 0, cart: {} });
