import { StoreUnavailable } from '../errors.ts';

/** How long the next question may take while the last one is still unanswered, in milliseconds. */
const IMPATIENCE_MS = 50;

/**
 * Holds a store to an answer within `ms`. Once it has been silent for so long, later callers wait
 * 50 ms only, until it answers again.
 * @param onChange is told when the store falls silent or fails, and when it answers again
 * @returns a function that passes an answer on, or rejects with StoreUnavailable where it failed or
 *   did not come in time
 */
export function answersWithin(ms: number, onChange: (failure?: unknown) => void = () => {}) {
  let patience = ms;
  let down = false;
  const turn = (nowDown: boolean, cause?: unknown) => {
    if (down === nowDown) return;
    down = nowDown;
    onChange(cause);
  };
  return <T>(answer: Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      let settled = false;
      let late = false;
      const fail = (cause: unknown) => {
        settled = true;
        clearTimeout(timer);
        if (late) return;
        reject(new StoreUnavailable('the session store is unavailable', { cause }));
        turn(true, cause);
      };
      const giveUp = () => {
        if (settled) return;
        patience = IMPATIENCE_MS;
        fail(new Error('no answer in time'));
        late = true;
      };
      // What arrived while this process stood still arrived in time: it is read first.
      const timer = setTimeout(setImmediate, patience, giveUp);
      const pass = (value: T) => {
        settled = true;
        clearTimeout(timer);
        patience = ms;
        resolve(value);
        if (!late) turn(false);
      };
      answer.then(pass, fail);
    });
}
