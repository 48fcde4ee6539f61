// Another process that changes the records of a store: node test-support/other-process.ts URL KEY
import { setImmediate as nextTurn } from 'node:timers/promises';
import { compareAndSetLoop } from '../app/session/index.ts';
import { openStore } from './open-store.ts';

type Counter = { version: number };

const [, , url = '', key = ''] = process.argv;
const { backend, close } = await openStore(url);
const read = async (id: string): Promise<Counter | undefined> => {
  const text = await backend.get(id);
  return text === undefined ? undefined : JSON.parse(text);
};
const { compareAndSet } = backend;
const commit = compareAndSetLoop<Counter>({ get: read, compareAndSet });

/** Changes a record from the moment when it exists until it is destroyed. */
async function chase(id: string): Promise<void> {
  let seen = await read(id);
  for (; !seen; seen = await read(id)) await nextTurn();
  for (; seen; seen = await read(id))
    await compareAndSet(id, seen.version, { version: seen.version + 1 }, 60_000);
}

for (let n = 0; n < 100; n++)
  await commit(key, undefined, (current) => ({ version: (current?.version ?? 0) + 1 }));
for (let n = 0; n < 50; n++) await chase(`${key}:${n}`);
await close();
