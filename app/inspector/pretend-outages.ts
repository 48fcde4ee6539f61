import type { SessionBackend } from '../session/backends.ts';

/** A backend that fails, for a while, where one session asks it: to see what its visitor sees. */
export function pretendOutages(backend: SessionBackend) {
  const away = new Set<string>();
  const reach = async (key: string) => {
    if (away.has(key)) throw new Error('The race lab pretends that the store is away');
  };
  return {
    begin: (handle: string, ms: number) => {
      away.add(handle);
      setTimeout(() => away.delete(handle), ms).unref();
    },
    backend: {
      ...backend,
      get: (key) => reach(key).then(() => backend.get(key)),
      compareAndSet: (key, ...args) => reach(key).then(() => backend.compareAndSet(key, ...args)),
      destroy: (key) => reach(key).then(() => backend.destroy(key)),
    } satisfies SessionBackend,
  };
}
