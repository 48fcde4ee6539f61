import { z } from 'zod';
import { sessionFields } from './session/index.ts';

// What the shop keeps in a session. It is in no feature's folder, because several features use it.

/** The module's own fields, and these. */
export const shopFields = sessionFields.extend({
  /** A guest's cart: sku -> quantity. Log-in moves it to the account. */
  cart: z.record(z.string(), z.int().positive()).readonly().optional(),
  /** The lines that the last change removed from the cart, for "Undo". */
  removed: z.record(z.string(), z.int().positive()).readonly().optional(),
  /** A message for the next page, shown once. */
  flash: z.string().optional(),
  /** The handle of the guest session before log-in, so that its cart is added only once. */
  guest: z.string().optional(),
});

declare module './session/record.ts' {
  interface SessionFields extends z.infer<typeof shopFields> {}
}
