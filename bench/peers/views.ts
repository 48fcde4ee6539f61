import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { pageOf } from './shop.ts';

const given = new Set(Object.keys(pageOf('', {})));
const source = join(import.meta.dirname, '../../views');

/**
 * The app's views as tutorials write them: `title`, not `page.title`, and parts included by relative
 * paths. Fields that the peers do not have are undefined.
 */
export async function writeTutorialViews(folder: string): Promise<void> {
  await cp(source, folder, { recursive: true });
  for (const name of await readdir(folder, { recursive: true })) {
    if (!name.endsWith('.ejs')) continue;
    const text = await readFile(join(folder, name), 'utf8');
    const from = (part: string) => relative(join('/', dirname(name)), part);
    const plain = text
      .replaceAll(/\bpage\.(\w+)/g, (_, key: string) => (given.has(key) ? key : `locals.${key}`))
      .replaceAll(/include\('([^']+)'/g, (_, part: string) => `include('${from(part)}'`);
    await writeFile(join(folder, name), plain);
  }
}
