import { z } from 'zod';
import type { Documents } from '../storage/documents.ts';

const shape = {
  id: z.string(),
  accountId: z.string(),
  cartVersion: z.int().optional(),
  placedAt: z.number(),
  /** Prices at the time of the order, in cents. */
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

export function createOrders(documents: Documents) {
  const stored = documents('order', shape);
  const lists = documents('orders', { ids: z.array(z.string()) });

  /** @returns the stored order with this id: this one, or one that was placed before */
  async function place(order: Order): Promise<Order> {
    const { id, accountId } = order;
    // The list comes first: if the second write fails, no order is missing from its owner's list.
    await lists.change(accountId, undefined, (list) =>
      list?.ids.includes(id) ? list : { ...list, ids: [...(list?.ids ?? []), id] },
    );
    return stored.change(id, undefined, (existing) => existing ?? order);
  }

  async function ofAccount(accountId: string): Promise<Order[]> {
    const ids = (await lists.read(accountId))?.ids ?? [];
    const orders = await Promise.all(ids.slice(-100).toReversed().map(stored.read));
    return orders.filter((order) => order !== undefined);
  }

  return { find: stored.read, place, ofAccount };
}
