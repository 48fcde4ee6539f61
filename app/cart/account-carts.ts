import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { type Document, type Documents, NEW_DOCUMENT } from '../storage/documents.ts';
import { type Cart, minus, plus } from './cart.ts';

const cartShape = z.record(z.string(), z.int().positive()).readonly();

const shape = {
  lines: cartShape,
  /**
   * The id of the next order. Sending the form twice places one order, because both requests have
   * this id.
   */
  orderId: z.string(),
  /** What the last log-ins added: handle of the guest's session -> lines. */
  merged: z.record(z.string(), cartShape),
};

export type AccountCart = Document<z.infer<z.ZodObject<typeof shape>>>;

/** As many as MAX_SESSIONS: one for each session that an account can have. */
const MAX_MERGES = 10;

export type Carts = ReturnType<typeof createCarts>;

export function createCarts(documents: Documents) {
  const stored = documents('cart', shape);
  return {
    read: async (accountId: string): Promise<AccountCart> =>
      (await stored.read(accountId)) ?? {
        lines: {},
        orderId: newOrderId(),
        merged: {},
        version: NEW_DOCUMENT,
      },
    change: (accountId: string, seen: AccountCart, edit: (cart: AccountCart) => AccountCart) =>
      stored.change(accountId, seen, (current = seen) => edit(current)),
  };
}

/** Adds the lines of the guest's session with this `handle`, as far as they fit, and only once. */
export function merge(cart: AccountCart, handle: string, guest: Cart): AccountCart {
  if (Object.hasOwn(cart.merged, handle)) return cart;
  const lines = plus(cart.lines, guest);
  const added = minus(lines, cart.lines);
  const merged = [...Object.entries(cart.merged), [handle, added]].slice(-MAX_MERGES);
  return { ...cart, lines, merged: Object.fromEntries(merged) };
}

/** The cart with new lines. After this, what earlier log-ins added can no longer be undone. */
export const withLines = (cart: AccountCart, lines: Cart): AccountCart => ({
  ...cart,
  lines,
  // The handles stay, so that nothing is added twice.
  merged: Object.fromEntries(Object.keys(cart.merged).map((handle) => [handle, {}])),
});

export const unmerge = (cart: AccountCart, handle: string): AccountCart =>
  withLines(cart, minus(cart.lines, cart.merged[handle] ?? {}));

/** Removes the ordered lines, and prepares the next order. Lines added meanwhile stay. */
export const withoutOrder = (cart: AccountCart, ordered: Cart): AccountCart => ({
  ...withLines(cart, minus(cart.lines, ordered)),
  orderId: newOrderId(),
});

const newOrderId = () => randomBytes(16).toString('base64url');
