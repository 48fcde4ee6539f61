import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where a file of this repository is. */
export const pathOf = (file: string) => join(import.meta.dirname, '../..', file);

const COMMENT = String.raw`(?:^ *(?:/\*\*|\*|//).*\n)*`;
const DECLARES = '^( *)(?:(?:export|override|async|function|const|type) )+';
const BODY = String.raw`.*(?:\n+\1[ })\]].*)*`;

/**
 * The source of one function, constant or type in `file`, with the comment above it. It relies on
 * the formatter: the excerpt stops before the next line at the same indentation that does not close
 * something.
 */
export function excerpt(file: string, name: string): string {
  const source = readFileSync(pathOf(file), 'utf8');
  const declaration = new RegExp(`${COMMENT}${DECLARES}${name}\\b${BODY}`, 'gm');
  const found = [...source.matchAll(declaration)];
  const [text, margin] = found[0] ?? [];
  if (text === undefined || found.length > 1)
    throw new Error(`${file} declares ${name} ${found.length} times`);
  return text.replaceAll(new RegExp(`^${margin}`, 'gm'), '');
}
