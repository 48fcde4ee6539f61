// Loads as it is told to, in a process of its own: two processes answer more than one can ask.
import { load } from './load.ts';

process.on('message', (options: Parameters<typeof load>) => {
  void load(...options).then((result) => process.send?.(result));
});
