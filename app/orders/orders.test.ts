import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type Backend, memoryBackend } from '../session/index.ts';
import { createDocuments } from '../storage/documents.ts';
import { createOrders, type Order } from './orders.ts';

const orderOf = (n: number): Order => ({
  id: `order-${String(n).padStart(17, '0')}`, // as long as real ids
  accountId: 'ada',
  placedAt: n,
  lines: [{ sku: 'bowler-hat', name: 'Bowler hat', unitPriceCents: 8900, quantity: 1 }],
});

/** Orders in a store that counts its commands and the bytes they carry. */
function countedOrders(memory = memoryBackend()) {
  const spent = { commands: 0, bytes: 0 };
  const backend: Pick<Backend, 'get' | 'compareAndSet'> = {
    get: async (key) => {
      const text = await memory.get(key);
      spent.commands += 1;
      spent.bytes += text?.length ?? 0;
      return text;
    },
    compareAndSet: (key, version, next) => {
      spent.commands += 1;
      spent.bytes += JSON.stringify(next).length;
      return memory.compareAndSet(key, version, next);
    },
  };
  const orders = createOrders(createDocuments(backend));
  const costOf = async (work: () => Promise<unknown>) => {
    Object.assign(spent, { commands: 0, bytes: 0 });
    await work();
    return { ...spent };
  };
  /** Places orders, from the number `first` on. */
  const place = async (count: number, first = 0) => {
    for (let n = first; n < first + count; n++) await orders.place(orderOf(n));
  };
  return { orders, place, costOf, memory };
}

/** All orders of Ada, page by page. */
async function placedAts({ ofAccount }: ReturnType<typeof createOrders>) {
  const all: number[] = [];
  let before: number | undefined;
  do {
    const page = await ofAccount('ada', before);
    assert.ok(page.orders.length <= 50);
    all.push(...page.orders.map(({ placedAt }) => placedAt));
    before = page.before;
  } while (before !== undefined);
  return all;
}

const down = (count: number) => Array.from({ length: count }, (_, n) => count - 1 - n);

it('lists all orders, the newest first, 50 at a time', async () => {
  const { orders, place } = countedOrders();
  assert.deepEqual(await placedAts(orders), []);
  let placed = 0;
  for (const count of [1, 49, 50, 51, 99, 100, 101, 233]) {
    await place(count - placed, placed);
    placed = count;
    assert.deepEqual(await placedAts(orders), down(count), `${count}`);
  }
});

it('shows a page that does not move while orders are placed', async () => {
  const { orders, place } = countedOrders();
  await place(120);
  const { before } = await orders.ofAccount('ada');
  const second = await orders.ofAccount('ada', before);
  await place(60, 120);
  assert.deepEqual(await orders.ofAccount('ada', before), second);
});

it('places and lists orders at the same cost after 100,000 as after 10', async () => {
  const { orders, place, costOf, memory } = countedOrders();
  await place(10);
  const few = await costOf(() => place(50, 10));
  const listedFew = await costOf(() => orders.ofAccount('ada'));

  const list = JSON.parse((await memory.get('orders:ada')) ?? '');
  const { ids } = JSON.parse((await memory.get('orders:ada:0')) ?? '');
  await memory.compareAndSet('orders:ada', list.version, { ...list, pages: 2000 });
  await memory.compareAndSet('orders:ada:1999', 0, Object.assign({ version: 1 }, { ids }));
  const many = await costOf(() => place(50, 100_010));
  assert.equal(many.commands, few.commands);
  assert.ok(many.bytes < few.bytes * 1.05, `${many.bytes} bytes, and ${few.bytes}`);
  const listedMany = await costOf(() => orders.ofAccount('ada'));
  assert.equal(listedMany.commands, listedFew.commands);
  assert.ok(listedMany.bytes < listedFew.bytes * 1.05, `${listedMany.bytes} bytes`);
});

it('continues a list that was stored before lists had pages', async () => {
  const { orders, place, memory, costOf } = countedOrders();
  const old = memoryBackend();
  const before = countedOrders(old);
  await before.place(140);
  for (let n = 0; n < 140; n++) {
    const key = `order:${orderOf(n).id}`;
    await memory.compareAndSet(key, 0, JSON.parse((await old.get(key)) ?? ''));
  }
  const ids = Array.from({ length: 140 }, (_, n) => orderOf(n).id);
  await memory.compareAndSet('orders:ada', 0, { ids, version: 140 } as never);
  assert.deepEqual(await placedAts(orders), down(140));
  await place(1, 140);
  assert.deepEqual(await placedAts(orders), down(141));
  const { commands } = await costOf(() => place(1, 141));
  assert.equal(commands, 3, 'the pages are stored once');
});

it('lists each order exactly once, even when several are placed at the same time', async () => {
  const { place, memory } = countedOrders();
  await place(49);
  const processes = [memory, memory, memory].map((shared) => countedOrders(shared));
  const work = processes.flatMap((each, n) => [each.place(4, 49 + 4 * n), each.place(4, 49)]);
  await Promise.all(work);
  const [{ orders }] = processes as [ReturnType<typeof countedOrders>];
  const all = await placedAts(orders);
  assert.deepEqual(
    all.toSorted((a, b) => b - a),
    down(61),
  );
});
