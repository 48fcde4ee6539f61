import assert from 'node:assert/strict';
import { it } from 'node:test';
import { runReshard } from './run-reshard.ts';

it('a resharding of a Redis Cluster under load loses no acknowledged add', async () => {
  const { keys, acknowledged, lost, refused, movedKeys, crossSlot } = await runReshard(600, 400);
  assert.ok(acknowledged > 100, `${acknowledged}`);
  assert.ok(movedKeys > 0, `${movedKeys}`);
  assert.deepEqual({ lost, refused, crossSlot }, { lost: 0, refused: 0, crossSlot: 0 });
  // Keys spread evenly over the slots, about 200 to each master. By chance, these bounds fail 5
  // times in 100,000.
  for (const n of keys) assert.ok(n > 150 && n < 250, keys.join());
});
