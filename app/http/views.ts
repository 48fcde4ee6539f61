import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ejs, { type TemplateFunction } from 'ejs';

/** Returns the HTML of a view, which sees `page` and nothing else. */
export type Render = (view: string, page: object) => string;

/**
 * The views of `folder`. Production compiles each once; development compiles it each time, so that an
 * edit shows at once. (With `app.engine` and `res.render`, Express and EJS would copy `page` three
 * more times.)
 * @param shared a part of `page` in every view
 */
export function createViews(folder: string, production: boolean, shared: object): Render {
  const fileOf = (view: string) => join(folder, `${view}.ejs`);
  // Puts the parts in their places. Left as calls, EJS would look for each part at every page.
  const withParts = (file: string): string =>
    readFileSync(file, 'utf8').replaceAll(/<%- include\('(.+?)'\) %>/g, (_, part) =>
      withParts(fileOf(part)),
    );
  ejs.fileLoader = withParts;
  // Without `with`: views read `page.title`, not `title`.
  const options = { cache: production, _with: false, localsName: 'page', root: folder };
  const compile = (view: string) =>
    ejs.compile(withParts(fileOf(view)), { ...options, filename: fileOf(view) });
  const compiled = new Map<string, TemplateFunction>();

  // For a part that is the same for every visitor: production renders it once.
  const rendered = new Map<string, string>();
  const once = (name: string, render: () => string) =>
    production ? rendered.getOrInsertComputed(name, render) : render();

  return (view, page) => {
    const template = production ? compiled.getOrInsertComputed(view, compile) : compile(view);
    return template({ ...shared, once, ...page });
  };
}
