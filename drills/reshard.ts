// npm run drill:reshard: moves slots in a Redis Cluster while visitors fill their carts.
import { runReshard } from './run-reshard.ts';

const { keys, acknowledged, lost, refused, longestMs, movedKeys, crossSlot } = await runReshard(
  30_000,
  2000,
);
process.stdout.write(`keys on the three masters: ${keys.join(', ')}
2000 slots moved, with ${movedKeys} keys, while visitors filled their carts
${acknowledged} adds answered with 200, ${lost} of them lost; ${refused} refused; the longest took ${Math.round(longestMs)} ms
${crossSlot} commands refused because their keys lie in several slots
`);
