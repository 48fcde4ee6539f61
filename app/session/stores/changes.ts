import { setTimeout as sleep } from 'node:timers/promises';
import { SessionBusy, StoreUnavailable } from '../errors.ts';
import type { Backend, Versioned } from './backends.ts';

/** Who was overtaken so often gives up: see `SessionBusy`. */
export const MOST_ATTEMPTS = 100;

/**
 * The one way to change what a backend keeps.
 * @param msToLive of a record, in milliseconds; absent: it stays for good
 * @returns `change(key, seen, edit)`. `seen` is the record as the caller knows it, however stale, or
 *   undefined for none. `edit` returns the next version, made from the current one alone, for it may
 *   run again; its very argument back changes nothing. What it throws ends the change, with nothing
 *   stored. It rejects with SessionBusy when others were faster a hundred times.
 */
export function changes<R extends Versioned>(
  backend: Pick<Backend<R>, 'get' | 'compareAndSet'>,
  msToLive?: (record: R) => number,
) {
  type Edit = (current: R | undefined) => R;
  const lastInLine = new Map<string, Promise<R>>();

  /**
   * Changes of one thing go one after the other within this process. The promise of compare-and-set
   * does not need it; it saves the store the conflicts.
   */
  function change(key: string, seen: R | undefined, edit: Edit): Promise<R> {
    const turn = newest(lastInLine.get(key), seen).then((current) => commit(key, current, edit));
    lastInLine.set(key, turn);
    const leave = () => {
      if (lastInLine.get(key) === turn) lastInLine.delete(key);
    };
    turn.then(leave, leave);
    return turn;
  }

  async function newest(before: Promise<R> | undefined, seen: R | undefined) {
    const stored = await before?.catch((error: unknown) => {
      // A silent store is silent to the whole line: each would wait for it in turn.
      if (error instanceof StoreUnavailable) throw error;
      return undefined;
    });
    return (stored?.version ?? 0) > (seen?.version ?? 0) ? stored : seen;
  }

  /**
   * Stores what `edit` makes, by compare-and-set: on a conflict, what is stored is read again and
   * edited instead. Never merge two sessions: connect-redis tried (#333) and had to take it back (#347).
   */
  async function commit(key: string, seen: R | undefined, edit: Edit): Promise<R> {
    let current = seen;
    for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
      const next = edit(current);
      if (next === current) return next;
      if (await backend.compareAndSet(key, current?.version ?? 0, next, msToLive?.(next)))
        return next;
      // Soon at once, later after a random time: of two processes in step, one would always lose.
      if (attempt >= 5) await sleep(Math.random() * attempt);
      current = await backend.get(key);
    }
    throw new SessionBusy('it is changed too often at once');
  }

  return change;
}
