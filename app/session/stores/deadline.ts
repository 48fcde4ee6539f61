import { StoreUnavailable } from '../errors.ts';

/** A timer that is this late, in milliseconds, says that the process was stalled. */
const STALL_MS = 100;
/** How long a store that is known to be silent may take for its next answer, in milliseconds. */
const IMPATIENCE_MS = 50;

type Kind = 'read' | 'change';

/**
 * Gives a store `ms` milliseconds for each answer, and 100 ms more if this process was stalled. Once it has
 * missed that deadline, later callers wait only 50 ms, until it answers again.
 * @param onChange called when the store starts to fail, and when it works again. Reads and changes count
 *   separately, because a store with a full disk still answers reads
 * @returns a function that passes an answer on, and rejects with StoreUnavailable when the answer
 *   fails or is late
 */
export function answersWithin(ms: number, onChange: (failure?: unknown) => void = () => {}) {
  let patience = ms;
  const failing = new Set<Kind>();
  return <T>(answer: Promise<T>, kind: Kind = 'read'): Promise<T> =>
    new Promise((resolve, reject) => {
      const setDown = (down: boolean, cause?: unknown) => {
        const wasDown = failing.size > 0;
        if (down) failing.add(kind);
        else failing.delete(kind);
        if (wasDown !== failing.size > 0) onChange(cause);
      };
      let settled = false;
      let late = false;
      const fail = (cause: unknown) => {
        settled = true;
        clearTimeout(timer);
        if (late) return;
        reject(new StoreUnavailable('The store is unavailable', { cause }));
        setDown(true, cause);
      };
      const giveUp = () => {
        if (settled) return;
        patience = IMPATIENCE_MS;
        fail(new Error('no answer in time'));
        late = true;
      };
      const wait = patience;
      const asked = performance.now();
      const check = () => {
        if (settled) return;
        const stalled = performance.now() - asked - wait;
        if (stalled < STALL_MS) giveUp();
        // The question may have been sent only now. The whole time again would double the deadline of a
        // busy process.
        else timer = setTimeout(setImmediate, STALL_MS, giveUp);
      };
      // setImmediate: an answer that arrived while this process was stalled is in time, so it is read
      // first.
      let timer = setTimeout(setImmediate, wait, check);
      const pass = (value: T) => {
        settled = true;
        clearTimeout(timer);
        patience = ms;
        resolve(value);
        if (!late) setDown(false);
      };
      answer.then(pass, fail);
    });
}
