import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ejs, { type TemplateFunction } from 'ejs';

/** The HTML of a view; it sees what it is given as `page`, and nothing else. */
export type Render = (view: string, page: object) => string;

/**
 * The views of `folder`, compiled once in production, and anew each time while they are being written.
 * (By way of `app.engine` and `res.render`, Express and EJS would copy what a view is given three
 * times more.)
 * @param shared what every view is given
 */
export function createViews(folder: string, production: boolean, shared: object): Render {
  const fileOf = (view: string) => join(folder, `${view}.ejs`);
  // In their places from the start: as a call, each part would be looked for again and again.
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

  // A part that is the same for every visitor is rendered once, and while it is being written each time.
  const rendered = new Map<string, string>();
  const once = (name: string, render: () => string) =>
    production ? rendered.getOrInsertComputed(name, render) : render();

  return (view, page) => {
    const template = production ? compiled.getOrInsertComputed(view, compile) : compile(view);
    return template({ ...shared, once, ...page });
  };
}
