import { setTimeout as sleep } from 'node:timers/promises';
import { StoreUnavailable } from './session-errors.ts';

/**
 * Waits before a change that was refused is tried again: soon not at all, later for a random time, so
 * that of two processes in step one is not always the second.
 */
export const backOff = async (attempt: number): Promise<void> => {
  if (attempt >= 5) await sleep(Math.random() * attempt);
};

/**
 * Lets changes of one thing go one after the other within this process. The promise of
 * compare-and-set does not need it; it saves the store the conflicts.
 * @returns `inTurn(key, work)`: does `work` when the one before it under the same key is over, with
 *   what that returned, or undefined where there was none or it failed
 */
export function turns<T>() {
  const lastInLine = new Map<string, Promise<T>>();
  return (key: string, work: (before: T | undefined) => Promise<T>): Promise<T> => {
    const before = lastInLine.get(key);
    const turn = (async () =>
      work(
        await before?.catch((error: unknown) => {
          // A silent store is silent to the whole line: each would wait for it in turn.
          if (error instanceof StoreUnavailable) throw error;
          return undefined;
        }),
      ))();
    lastInLine.set(key, turn);
    const leave = () => {
      if (lastInLine.get(key) === turn) lastInLine.delete(key);
    };
    turn.then(leave, leave);
    return turn;
  };
}
