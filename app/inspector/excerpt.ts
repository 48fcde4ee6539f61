import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const KEYWORDS = 'export|override|async|function|const|type';
const CLOSES = /^[})\]]/;

/**
 * The source of one function, constant or type as it stands in `file`, with the comment above it: as
 * the formatter indents it, it ends before the next line that is not deeper and closes nothing.
 * @throws Error when the file does not declare that name, or more than once
 */
export function excerpt(file: string, name: string): string {
  const lines = readFileSync(join(import.meta.dirname, '../..', file), 'utf8').split('\n');
  const declaration = new RegExp(`^ *(?:(?:${KEYWORDS}) )+${name}\\b`);
  const starts = lines.flatMap((line, n) => (declaration.test(line) ? [n] : []));
  const [start] = starts;
  if (start === undefined || starts.length > 1)
    throw new Error(`${file} declares ${name} ${starts.length} times`);

  const margin = lines[start]?.search(/\S/) ?? 0;
  const inside = (line: string) =>
    line.trim() === '' || line.search(/\S/) > margin || CLOSES.test(line.slice(margin));
  let first = start;
  while (/^ *(\/\*\*|\*|\/\/)/.test(lines[first - 1] ?? '')) first--;
  let end = start + 1;
  while (end < lines.length && inside(lines[end] ?? '')) end++;
  return lines
    .slice(first, end)
    .map((line) => line.slice(margin))
    .join('\n')
    .trimEnd();
}
