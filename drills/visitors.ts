import { setTimeout as sleep } from 'node:timers/promises';
import { demoProducts } from '../config/demo-data.ts';
import { httpClient } from '../test-support/http-client.ts';

/** When its request was sent, and how long the response took, in milliseconds. Status 0: none came. */
export type TimedResponse = { at: number; ms: number; status: number };

const VISITORS = 20;
/** An address may send 3,000 cart changes a minute without a cookie, as refused visitors do. */
const PAUSE_WHEN_REFUSED_MS = 250;

/** Starts visitors who add one product after another to their carts, until `stop`. */
export function startVisitors(origin: string, pauseMs = 20) {
  /** The responses to every add, and to each look at the cart that failed. */
  const responses: TimedResponse[] = [];
  /** How many adds were answered with 200, by session cookie. */
  const acknowledged = new Map<string, number>();
  const over = new AbortController();

  const visit = async (n: number) => {
    const visitor = httpClient(origin);
    const ask = async (request: () => Promise<{ status: number }>) => {
      const at = performance.now();
      const { status } = await request().catch(() => ({ status: 0 }));
      return { at, ms: performance.now() - at, status };
    };
    for (let step = n; !over.signal.aborted; step++) {
      // A cart holds 99 of each product. Taking them in turn leaves more room than any visitor needs.
      const sku = demoProducts[step % demoProducts.length]?.sku;
      const added = await ask(() => visitor.post('/cart/lines', { json: { sku } }));
      responses.push(added);
      const { cookie } = visitor;
      if (added.status === 200 && cookie) {
        acknowledged.set(cookie, (acknowledged.get(cookie) ?? 0) + 1);
        await sleep(pauseMs);
        continue;
      }
      // If the visitor had a cart, poll until it is visible again.
      for (let isSeen = false; !isSeen && !over.signal.aborted; ) {
        await sleep(PAUSE_WHEN_REFUSED_MS);
        const looked = cookie && (await ask(() => visitor.get('/cart')));
        if (looked && looked.status !== 200) responses.push(looked);
        else isSeen = true;
      }
      // A refused add may have been stored, and can then hide one lost add. So the next add goes
      // into a new cart.
      visitor.cookie = undefined;
    }
  };
  const visits = Promise.all(Array.from({ length: VISITORS }, (_, n) => visit(n)));

  const stop = async () => {
    over.abort();
    await visits;
  };
  const wereRefusedWithin = (ms: number) => {
    const latest = responses.filter(
      (response) => response.at + response.ms > performance.now() - ms,
    );
    return latest.length === 0 || latest.some(({ status }) => status !== 200);
  };
  return { responses, acknowledged, stop, wereRefusedWithin };
}

/** @returns how many acknowledged adds the carts do not hold */
export async function countLost(
  origin: string,
  acknowledged: ReadonlyMap<string, number>,
): Promise<number> {
  let lost = 0;
  for (const [cookie, added] of acknowledged) {
    const { status, json } = await httpClient(origin, cookie).get('/cart');
    if (status !== 200) throw new Error(`a cart cannot be counted: ${status}`);
    if (json.count > added + 1)
      throw new Error(`${added} added and at most one refused, but there are ${json.count}`);
    lost += Math.max(0, added - json.count);
  }
  return lost;
}
