// Another process that changes the records of a store: node test-support/other-process.ts URL KEY
import { compareAndSetLoop } from '../app/session/index.ts';
import { inLanes } from './in-lanes.ts';
import { openTestStore } from './open-store.ts';

type Counter = { version: number };

const [, , url = '', key = ''] = process.argv;
const { backend, close } = await openTestStore(url);
const read = async (id: string): Promise<Counter | undefined> => {
  const text = await backend.get(id);
  return text === undefined ? undefined : JSON.parse(text);
};
const { compareAndSet } = backend;
const commit = compareAndSetLoop<Counter>({ get: read, compareAndSet });

/** Creates a record, and changes it until it is destroyed. */
async function insist(id: string): Promise<void> {
  for (let version = 0; version < 1000; version++)
    if (!(await compareAndSet(id, version, { version: version + 1 }, 60_000))) return;
}

for (let n = 0; n < 100; n++)
  await commit(key, undefined, (current) => ({ version: (current?.version ?? 0) + 1 }));
await inLanes(
  Array.from({ length: 1000 }, (_, n) => `${key}:${n}`),
  insist,
);
await close();
