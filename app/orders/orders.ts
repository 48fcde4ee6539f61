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

/** The list of an account's orders is stored in documents of this many ids. */
const PAGE = 50;

export function createOrders(documents: Documents) {
  const stored = documents('order', shape);
  const lists = documents('orders', {
    ids: z.array(z.string()),
    /** How many full pages come before these ids. Each is a document that never changes again. */
    pages: z.int().optional(),
  });

  /** @returns the stored order with this id: this one, or one that was placed before */
  async function place(order: Order): Promise<Order> {
    const { id, accountId } = order;
    // The list comes first: if the second write fails, no order is missing from its owner's list.
    await addToList(accountId, id);
    return stored.change(id, undefined, (existing) => existing ?? order);
  }

  async function addToList(accountId: string, id: string): Promise<void> {
    const seen = await lists.read(accountId);
    const { ids: seenIds = [], pages: seenPages = 0 } = seen ?? {};
    const full = Math.floor(seenIds.length / PAGE); // several if it is from before lists had pages
    for (let n = 0; n < full; n++) {
      const page = { ids: seenIds.slice(n * PAGE, (n + 1) * PAGE) };
      const key = pageKey(accountId, seenPages + n);
      await lists.change(key, undefined, (existing) => existing ?? page);
    }
    await lists.change(accountId, seen, (list) => {
      if (list?.ids.includes(id)) return list;
      const { ids = [], pages = 0 } = list ?? {};
      // If another request has moved pages meanwhile, this one moves none. The next order can.
      const taken = pages === seenPages ? full : 0;
      return { ...list, ids: [...ids.slice(taken * PAGE), id], pages: pages + taken };
    });
  }

  /**
   * @param before how many of the account's oldest orders to look at. The page begins with the newest of
   *   these, so it stays the same while orders are placed
   * @returns at most 50 orders, the newest first, and the `before` of the next page, if there is one
   */
  async function ofAccount(accountId: string, before = Number.POSITIVE_INFINITY) {
    const { ids: newest = [], pages = 0 } = (await lists.read(accountId)) ?? {};
    const end = Math.min(before, pages * PAGE + newest.length);
    const start = Math.max(0, end - PAGE);
    const first = Math.min(pages, Math.floor(start / PAGE));
    const full = [first, first + 1].filter((page) => page < pages);
    const older = await Promise.all(full.map((page) => lists.read(pageKey(accountId, page))));
    const ids = [...older.flatMap((page) => page?.ids ?? []), ...newest];
    const shown = ids.slice(start - first * PAGE, end - first * PAGE).toReversed();
    const found = await Promise.all(shown.map(stored.read));
    const orders = found.filter((order) => order !== undefined);
    return { orders, before: start > 0 ? start : undefined };
  }

  return { find: stored.read, place, ofAccount };
}

const pageKey = (accountId: string, page: number) => `${accountId}:${page}`;
