import { z } from 'zod';
import type { Documents } from '../storage/documents.ts';

const shape = {
  id: z.string(),
  accountId: z.string(),
  /** Of the cart that was ordered. */
  cartVersion: z.int().optional(),
  /** In milliseconds since 1970. */
  placedAt: z.number(),
  /** At the prices of that moment, in cents. */
  lines: z.array(
    z.object({
      sku: z.string(),
      name: z.string(),
      unitPriceCents: z.int(),
      quantity: z.int().positive(),
    }),
  ),
};

export type Order = z.infer<z.ZodObject<typeof shape>>;
export type Orders = ReturnType<typeof createOrders>;

/** Orders, one document each, and for each account the list of them. */
export function createOrders(documents: Documents) {
  const stored = documents('order', shape);
  const lists = documents('orders', { ids: z.array(z.string()) });

  /** @returns the order with this id: this one, or that which was there before */
  async function place(order: Order): Promise<Order> {
    const { id, accountId } = order;
    // Listed first: an order that is there is on its owner's list, whatever fails in between.
    await lists.change(accountId, undefined, (there) =>
      there?.ids.includes(id) ? there : { ...there, ids: [...(there?.ids ?? []), id] },
    );
    return stored.change(id, undefined, (there) => there ?? order);
  }

  /** @returns the account's last 100 orders, the newest first. */
  async function ofAccount(accountId: string): Promise<Order[]> {
    const ids = (await lists.read(accountId))?.ids ?? [];
    const orders = await Promise.all(ids.slice(-100).toReversed().map(stored.read));
    return orders.filter((order) => order !== undefined);
  }

  return { find: stored.read, place, ofAccount };
}
