// Sends load from a separate process, because one process cannot send enough for two app processes.
import { load } from './load.ts';

process.on('message', (options: Parameters<typeof load>) => {
  void load(...options).then((result) => process.send?.(result));
});
