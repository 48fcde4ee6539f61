/** A backend that fails, for some seconds, where one session asks it: to see what its visitor sees. */
export function pretendOutages(backend: Backend, seconds: number) {
  const away = new Set<string>();
  const reach = async (key: string) => {
    if (away.has(key)) throw new Error('The race lab pretends that the store is away');
  };
  return {
    seconds,
    begin: (handle: string) => {
      away.add(handle);
      setTimeout(() => away.delete(handle), seconds * 1000).unref();
    },
    backend: {
      get: (key) => reach(key).then(() => backend.get(key)),
      compareAndSet: (key, ...args) => reach(key).then(() => backend.compareAndSet(key, ...args)),
      destroy: (key) => reach(key).then(() => backend.destroy(key)),
    } satisfies Backend,
  };
}

import type { Backend } from '../session/index.ts';
