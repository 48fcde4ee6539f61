import assert from 'node:assert/strict';
import { it } from 'node:test';
import { contend, newVisitor, startStoreApp, turn } from './turns.ts';

it('bench:stores measures an app and its store, and counts the changes that a store loses', async () => {
  const [plain, ours] = await Promise.all(
    ['MemoryStore', 'updateSession, SQLite'].map((name) => startStoreApp(name, false)),
  );
  assert.ok(plain && ours?.url);
  const second = await startStoreApp(ours.name, false, ours.url);
  try {
    ours.visitors.push(await newVisitor(ours));
    const { rps, p99 } = await turn(ours, 'change', 100);
    assert.ok(rps > 0 && p99 > 0, `${rps} ${p99}`);
    assert.ok((await contend([plain], 10, 100)).kept < 1);
    assert.equal((await contend([ours, second], 10, 100)).kept, 1);
  } finally {
    await Promise.all([plain, ours, second].map(({ stop }) => stop()));
  }
});
