import { setTimeout as sleep } from 'node:timers/promises';
import { StoreUnavailable, TooManyConflicts } from '../errors.ts';
import type { Versioned } from './backend.ts';

export const MAX_ATTEMPTS = 100;

export type Records<R extends Versioned> = {
  get(key: string): Promise<R | undefined>;
  compareAndSet(key: string, version: number, next: R, ttlMs?: number): Promise<boolean>;
};
type Edit<R> = (current: R | undefined) => R;

/**
 * Changes records by compare-and-set, and tries again on a conflict.
 * @param ttlMs how long a record lives, in milliseconds; without it, records never expire
 * @returns `commit(key, seen, edit)`. `seen` is the record as the caller knows it, however stale,
 *   or undefined for none. `edit` makes the next record from the current one alone, because it may
 *   run again; it returns its argument to change nothing. When it throws, nothing is stored.
 *   `commit` returns the record as stored, and rejects with TooManyConflicts after 100 conflicts.
 */
export function compareAndSetLoop<R extends Versioned>(
  records: Records<R>,
  ttlMs?: (record: R) => number,
) {
  const lastInLine = new Map<string, Promise<R>>();

  /** Within this process, changes of one record queue up, which saves the store most conflicts. */
  function commit(key: string, seen: R | undefined, edit: Edit<R>): Promise<R> {
    const turn = newest(lastInLine.get(key), seen).then((current) => attempt(key, current, edit));
    lastInLine.set(key, turn);
    const leave = () => {
      if (lastInLine.get(key) === turn) lastInLine.delete(key);
    };
    turn.then(leave, leave);
    return turn;
  }

  async function newest(before: Promise<R> | undefined, seen: R | undefined) {
    const stored = await before?.catch((error: unknown) => {
      // The whole queue fails at once. Otherwise each change would wait for the silent store in turn.
      if (error instanceof StoreUnavailable) throw error;
      return undefined;
    });
    return (stored?.version ?? 0) > (seen?.version ?? 0) ? stored : seen;
  }

  /**
   * On a conflict, edits the record that is stored now. It never merges two records: connect-redis
   * tried (#333) and had to revert it (#347).
   */
  async function attempt(key: string, seen: R | undefined, edit: Edit<R>): Promise<R> {
    let current = seen;
    for (let attempts = 1; attempts <= MAX_ATTEMPTS; attempts++) {
      const next = edit(current);
      if (next === current) return next;
      if (await records.compareAndSet(key, current?.version ?? 0, next, ttlMs?.(next))) return next;
      // A random pause breaks the lockstep of two processes in which one would always lose.
      if (attempts >= 5) await sleep(Math.random() * attempts);
      current = await records.get(key);
    }
    throw new TooManyConflicts('Too many requests changed this record at the same time');
  }

  return commit;
}
