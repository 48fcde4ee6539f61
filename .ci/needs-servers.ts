import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A test file that imports one of these, directly or indirectly, starts other processes. */
const STARTERS = ['child.ts', 'store-failures.ts'].map((file) => join('test-support', file));

export function needsServers(file: string): boolean {
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    const imports = /^(?:import|export) (?!type)[^;]*?'(\.[^']+\.ts)';/gm;
    for (const [, imported = ''] of readFileSync(path, 'utf8').matchAll(imports))
      visit(join(dirname(path), imported));
  };
  visit(file);
  return STARTERS.some((starter) => seen.has(starter));
}
