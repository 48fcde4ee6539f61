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

it('the drill counts everything that Redis held only in memory as lost, and nothing that came later', async () => {
  const { before, lost, acknowledged } = await runOutage(noPersistence, quietly);
  assert.ok(before > 20 && acknowledged > before);
  // When Redis fails, each of the 20 visitors may have one more add under way.
  assert.ok(lost >= before && lost <= before + 20, `${lost} of ${before}, ${acknowledged} in all`);
});
