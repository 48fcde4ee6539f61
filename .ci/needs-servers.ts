import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Whether a test file starts other processes: it does if it imports `test-support/child.ts`,
 * directly or indirectly.
 */
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
  return seen.has(join('test-support', 'child.ts'));
}
