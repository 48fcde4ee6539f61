import { readFile } from 'node:fs/promises';

/**
 * A file of `deploy/` with these changes. Each key of `changes` must occur
 * in it exactly once.
 */
export async function recipe(file: string, changes: Record<string, string>): Promise<string> {
  let text = await readFile(new URL(`../deploy/${file}`, import.meta.url), 'utf8');
  for (const [from, to] of Object.entries(changes)) {
    const [before = '', after, ...more] = text.split(from);
    if (after === undefined || more.length > 0)
      throw new Error(`${file} has “${from}” ${more.length + (after === undefined ? 0 : 1)} times`);
    text = before + to + after;
  }
  return text;
}
