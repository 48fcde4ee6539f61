import assert from 'node:assert/strict';
import { it } from 'node:test';
import { aofAlways, noPersistence } from './outage-kinds.ts';
import { runOutage } from './run-outage.ts';

const quietly = () => {};

it('the drill counts nothing as lost where Redis syncs each write to its disk', async () => {
  const outcome = await runOutage(aofAlways, quietly);
  assert.ok(outcome.before > 20 && outcome.acknowledged > outcome.before, JSON.stringify(outcome));
  assert.equal(outcome.lost, 0);
  assert.ok(outcome.unavailableMs > 900, `${outcome.unavailableMs} ms`);
});

it('the drill counts as lost all that Redis held in memory alone, and nothing that came later', async () => {
  const { before, lost, acknowledged } = await runOutage(noPersistence, quietly);
  assert.ok(before > 20 && acknowledged > before);
  // As it fails, each of 20 visitors may be on the way with one more.
  assert.ok(lost >= before && lost <= before + 20, `${lost} of ${before}, ${acknowledged} in all`);
});
