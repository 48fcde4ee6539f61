import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Document, Documents } from '../storage/documents.ts';
import { type Cart, minus, plus } from './cart.ts';

const cartShape = z.record(z.string(), z.int().positive()).readonly();

const shape = {
  lines: cartShape,
  /** The id that this cart's order will get, so that it is placed once, however often it is sent. */
  orderId: z.string(),
  /** The lines that the last log-ins added, by the handle of the guest's session. */
  merged: z.record(z.string(), cartShape),
};

export type AccountCart = Document<z.infer<z.ZodObject<typeof shape>>>;

/** The most sessions that an account has. */
const MERGES_KEPT = 10;

export type Carts = ReturnType<typeof createCarts>;

/** The carts of accounts, one document each. A guest's is in the session. */
export function createCarts(documents: Documents) {
  const stored = documents('cart', shape);
  return {
    read: async (accountId: string): Promise<AccountCart> =>
      (await stored.read(accountId)) ?? {
        lines: {},
        orderId: newOrderId(),
        merged: {},
        version: 0,
      },
    /** As `change` of `Documents`. */
    change: (accountId: string, seen: AccountCart, edit: (cart: AccountCart) => AccountCart) =>
      stored.change(accountId, seen, (current = seen) => edit(current)),
  };
}

/**
 * Adds a guest's lines, as far as there is room. For each session it adds them once, however often it
 * is called.
 * @param handle of the guest's session
 */
export function merge(cart: AccountCart, handle: string, guest: Cart): AccountCart {
  if (Object.hasOwn(cart.merged, handle)) return cart;
  const lines = plus(cart.lines, guest);
  const added = minus(lines, cart.lines);
  const merged = [...Object.entries(cart.merged), [handle, added]].slice(-MERGES_KEPT);
  return { ...cart, lines, merged: Object.fromEntries(merged) };
}

/** The cart with other lines. Lines from log-ins are now part of it and cannot be undone. */
export const edited = (cart: AccountCart, lines: Cart): AccountCart => ({
  ...cart,
  lines,
  // The handles stay, so that nothing is added again.
  merged: Object.fromEntries(Object.keys(cart.merged).map((handle) => [handle, {}])),
});

/** Removes the items that a guest's lines added. */
export const unmerge = (cart: AccountCart, handle: string): AccountCart =>
  edited(cart, minus(cart.lines, cart.merged[handle] ?? {}));

/** Removes the ordered items and begins the next order. Items added in the meantime stay. */
export const withoutOrder = (cart: AccountCart, ordered: Cart): AccountCart => ({
  ...edited(cart, minus(cart.lines, ordered)),
  orderId: newOrderId(),
});

const newOrderId = () => randomBytes(16).toString('base64url');
