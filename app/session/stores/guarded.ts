import { sessionHandle } from '../session-id.ts';
import type { Backend, Versioned } from './backend.ts';
import { answersWithin } from './deadline.ts';
import type { OldStore } from './old-store.ts';

export type GuardOptions = {
  /** The store that the app used before. Its visitors stay logged in: see docs/migrate.md. */
  importFrom?: OldStore;
  /** How long the backend may take for one answer, in milliseconds. Default: 1500 */
  answerWithinMs?: number;
  /** The clock, in milliseconds since 1970. Default: Date.now */
  now?: () => number;
};

type GuardEvent =
  | { type: 'imported' | 'store-up' }
  | { type: 'store-down'; error: unknown }
  | { type: 'unreadable'; reason: string };

/** A mistake in `onEvent` must not end the process, nor fail a request whose change is stored. */
export const carefully =
  <Args extends unknown[]>(onEvent: (...args: Args) => unknown = () => {}) =>
  (...args: Args): void => {
    try {
      const result = onEvent(...args);
      if (result instanceof Promise) result.catch(warn); // to TypeScript, an async function is one, too
    } catch (error) {
      warn(error);
    }
  };

const warn = (error: unknown) =>
  process.emitWarning(`onEvent failed: ${error instanceof Error ? error.stack : String(error)}`);

/**
 * The backend with a deadline, and with the sessions of the old store. Every failure of either, silence
 * included, becomes StoreUnavailable.
 * @param parse turns a stored text into a record, or returns undefined if the text is not valid
 */
export function guarded<R extends Versioned>(
  backend: Backend,
  { importFrom, answerWithinMs = 1500, now = Date.now }: GuardOptions,
  emit: (event: GuardEvent) => void,
  parse: (text: string) => R | undefined,
) {
  const deadline = () =>
    answersWithin(answerWithinMs, (error) =>
      emit(error === undefined ? { type: 'store-up' } : { type: 'store-down', error }),
    );
  const ask = deadline();
  const imports = importFrom?.open({ backend, now, ask: deadline(), emit });
  const both = imports?.backend ?? backend;
  const store = {
    get: async (key: string) => {
      const text = await ask(both.get(key));
      return text === undefined ? undefined : parse(text);
    },
    /** @param ttlMs see `Backend`; Infinity: it stays; 0 or less: it has expired since it was made */
    compareAndSet: (key: string, version: number, next: R | null, ttlMs = Infinity) => {
      const ttl = ttlMs === Infinity ? undefined : Math.max(ttlMs, 1);
      return ask(both.compareAndSet(key, version, next, ttl), 'change');
    },
    destroy: (key: string) => ask(both.destroy(key), 'change'),
  };
  /** Ends a session, even one that is still in the old store. */
  const forget = async (id: string) => {
    const key = sessionHandle(id);
    if (imports && (await imports.mayHold(id))) {
      await ask(imports.mark(key), 'change');
      await imports.remove(id);
    }
    await store.destroy(key);
  };
  return { store, imports, forget };
}
