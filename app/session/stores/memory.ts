import { type Backend, versionOf } from './backend.ts';
import { LONGEST_TIMER_MS } from './require.ts';

/** `texts` holds the records by their keys. */
export type MemoryBackend = Backend & { readonly texts: ReadonlyMap<string, string> };

/**
 * Keeps records in this process's memory: for development and tests, gone with the process. No record lives
 * longer than 24 days.
 */
export function memoryBackend(texts = new Map<string, string>()): MemoryBackend {
  const timers = new Map<string, NodeJS.Timeout>();
  const remove = (key: string) => {
    clearTimeout(timers.get(key));
    timers.delete(key);
    texts.delete(key);
  };
  return {
    texts,
    get: async (key) => texts.get(key),
    // Atomic, because it awaits nothing.
    compareAndSet: async (key, version, next, ttlMs) => {
      if (versionOf(texts.get(key)) !== version) return false;
      remove(key);
      if (next === null) return true;
      texts.set(key, JSON.stringify(next));
      if (ttlMs !== undefined)
        timers.set(key, setTimeout(remove, Math.min(ttlMs, LONGEST_TIMER_MS), key).unref());
      return true;
    },
    destroy: async (key) => remove(key),
  };
}
