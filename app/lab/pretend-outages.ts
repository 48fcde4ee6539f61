import type { Backend } from '../session/index.ts';

export type PretendOutages = ReturnType<typeof pretendOutages>;

/** A backend that fails for some seconds for one session, to show its visitor an outage. */
export function pretendOutages(backend: Backend, seconds: number) {
  const down = new Set<string>();
  const reach = async (key: string) => {
    if (down.has(key)) throw new Error('The race lab pretends that the store is down');
  };
  return {
    seconds,
    begin: (handle: string) => {
      down.add(handle);
      setTimeout(() => down.delete(handle), seconds * 1000).unref();
    },
    backend: {
      get: (key) => reach(key).then(() => backend.get(key)),
      compareAndSet: (key, ...args) => reach(key).then(() => backend.compareAndSet(key, ...args)),
      destroy: (key) => reach(key).then(() => backend.destroy(key)),
    } satisfies Backend,
  };
}
