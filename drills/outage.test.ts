import assert from 'node:assert/strict';
import { it } from 'node:test';
import { noPersistence } from './outage-kinds.ts';
import { runOutage } from './run-outage.ts';

it('the drill counts as lost what Redis held only in memory, and nothing that was added later', async () => {
  const { before, lost, acknowledged } = await runOutage(noPersistence, () => {});
  assert.ok(before > 20 && acknowledged > before);
  // When Redis fails, each of the 20 visitors may have one more add under way.
  assert.ok(lost >= before && lost <= before + 20, `${lost} of ${before}, ${acknowledged} in all`);
});
