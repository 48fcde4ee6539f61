import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Document, Documents } from '../storage/documents.ts';
import { type Cart, combine, fitting } from './cart.ts';

const lines = z.record(z.string(), z.int().positive()).readonly();

const shape = {
  lines,
  /** The id that the order of this cart will have: so it is placed once, however often it is sent. */
  orderId: z.string(),
  /** What the last log-ins added, by the handles of their sessions: each once, and to be undone. */
  merged: z.record(z.string(), lines),
};

type CartData = z.infer<z.ZodObject<typeof shape>>;
export type AccountCart = Document<CartData>;

/** As many as an account has sessions. */
const MERGES_KEPT = 10;

export type Carts = ReturnType<typeof createCarts>;

/** The carts of accounts, one document each. A guest's is in the session. */
export function createCarts(documents: Documents) {
  const stored = documents('cart', shape);
  return {
    read: async (accountId: string): Promise<AccountCart> =>
      (await stored.read(accountId)) ?? { ...emptyCart(), version: 0 },
    /** As `change` of `Documents`. */
    change: (
      accountId: string,
      seen: AccountCart | undefined,
      edit: (current: CartData) => CartData,
    ): Promise<AccountCart> =>
      stored.change(accountId, seen, (current) => edit(current ?? emptyCart())),
  };
}

/**
 * Adds a guest's lines, as far as there is room: once for each session, however often it is tried.
 * @param handle the session's
 */
export function merge(cart: CartData, handle: string, guest: Cart): CartData {
  if (Object.hasOwn(cart.merged, handle)) return cart;
  const added = fitting(cart.lines, guest);
  const merged = [...Object.entries(cart.merged), [handle, added]].slice(-MERGES_KEPT);
  return { ...cart, lines: combine(cart.lines, added, 1), merged: Object.fromEntries(merged) };
}

/** Takes away what the session's log-in added, as far as it is still there. */
export function unmerge(cart: CartData, handle: string): CartData {
  const { [handle]: added } = cart.merged;
  if (!added) return cart;
  // The name stays, so that what was undone is not added again.
  const merged = { ...cart.merged, [handle]: {} };
  return { ...cart, lines: combine(cart.lines, added, -1), merged };
}

/** Takes away what was ordered, and lets the next order begin. What was added meanwhile stays. */
export const withoutOrder = (cart: CartData, ordered: Cart): CartData => ({
  ...cart,
  lines: combine(cart.lines, ordered, -1),
  orderId: newOrderId(),
  merged: Object.fromEntries(Object.keys(cart.merged).map((handle) => [handle, {}])),
});

const newOrderId = () => randomBytes(16).toString('base64url');

const emptyCart = (): CartData => ({ lines: {}, orderId: newOrderId(), merged: {} });
