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
