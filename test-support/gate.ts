import { inspect } from 'node:util';

/** Holds requests until the test lets them go on. */
export class Gate {
  #waiting: (() => void)[] = [];
  #missing = 0;
  #complete = () => {};

  /** @returns a promise that resolves when `count` more requests have arrived */
  expect(count = 1): Promise<void> {
    this.#missing = count;
    return new Promise((resolve) => {
      this.#complete = resolve;
    });
  }

  /** A request waits here. */
  pass(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (--this.#missing === 0) this.#complete();
    });
  }

  /** Lets the requests that arrived first go on. */
  open(count = Infinity): void {
    for (const resolve of this.#waiting.splice(0, count)) resolve();
  }
}

/** Resolves with `arrived`. Rejects if one of the requests ends before, as it would never arrive. */
export async function beforeTheEnd(
  arrived: Promise<void>,
  ...requests: Promise<unknown>[]
): Promise<void> {
  const ended = async (request: Promise<unknown>) => {
    throw new Error(`It ended before the gate: ${inspect(await request, { depth: 0 })}`);
  };
  await Promise.race([arrived, ...requests.map(ended)]);
}
