import { setTimeout as sleep } from 'node:timers/promises';
import { demoProducts } from '../config/demo-data.ts';
import { httpClient } from '../test-support/http-client.ts';

/** An answer: when it was asked for, and how long it took, in milliseconds. */
export type Answer = { at: number; ms: number; status: number };

const VISITORS = 20;
const PAUSE_MS = 20;
/** Refused visitors come without a cookie, and of those an address may send 3000 a minute. */
const PAUSE_WHEN_REFUSED_MS = 250;

/** Visitors who put one thing after the other into their carts, until told to stop. */
export function startVisitors(origin: string) {
  /** To every add, and to a look at the cart where it was refused. */
  const answers: Answer[] = [];
  /** By the cookie of the session: how many adds were answered 200. */
  const acknowledged = new Map<string, number>();
  const over = new AbortController();

  const visit = async (n: number) => {
    const visitor = httpClient(origin);
    const ask = async (request: () => Promise<{ status: number }>) => {
      const at = performance.now();
      const { status } = await request();
      return { at, ms: performance.now() - at, status };
    };
    for (let step = n; !over.signal.aborted; step++) {
      // A cart holds 99 of one product: by turns there is room for more than anyone adds here.
      const sku = demoProducts[step % demoProducts.length]?.sku;
      const added = await ask(() => visitor.post('/cart/lines', { json: { sku } }));
      answers.push(added);
      const { cookie } = visitor;
      if (added.status === 200 && cookie) {
        acknowledged.set(cookie, (acknowledged.get(cookie) ?? 0) + 1);
        await sleep(PAUSE_MS);
        continue;
      }
      // Where there was a cart, it is looked for until it can be seen again.
      for (let isSeen = false; !isSeen && !over.signal.aborted; ) {
        await sleep(PAUSE_WHEN_REFUSED_MS);
        const looked = cookie && (await ask(() => visitor.get('/cart')));
        if (looked && looked.status === 503) answers.push(looked);
        else isSeen = true;
      }
      // A refused add may have been stored all the same. It is the last in its cart, where it
      // can make up for at most one that was lost: the next one goes into another cart.
      visitor.cookie = undefined;
    }
  };
  const visits = Promise.all(Array.from({ length: VISITORS }, (_, n) => visit(n)));

  const stop = async () => {
    over.abort();
    await visits;
  };
  const wereRefusedWithin = (ms: number) => {
    const latest = answers.filter((answer) => answer.at + answer.ms > performance.now() - ms);
    return latest.length === 0 || latest.some(({ status }) => status !== 200);
  };
  return { answers, acknowledged, stop, wereRefusedWithin };
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
