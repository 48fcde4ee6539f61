import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ejs, { type TemplateFunction } from 'ejs';

export type Render = (view: string, page: object) => string;

/** Replaces `app.engine` and `res.render`, with which Express and EJS would copy `page` three more times. */
export function createViews(folder: string, production: boolean): Render {
  const fileOf = (view: string) => join(folder, `${view}.ejs`);
  // EJS would copy the page's data twice for each include.
  const withParts = (file: string): string =>
    readFileSync(file, 'utf8').replaceAll(/<%- include\('(.+?)'\) %>/g, (_, part) =>
      withParts(fileOf(part)),
    );
  ejs.fileLoader = withParts;
  const options = { cache: production, _with: false, localsName: 'page', root: folder };
  const compile = (view: string) =>
    ejs.compile(withParts(fileOf(view)), { ...options, filename: fileOf(view) });
  const compiled = new Map<string, TemplateFunction>();

  // For a part of a view that is the same for every visitor.
  const rendered = new Map<string, string>();
  const once = (name: string, render: () => string) =>
    production ? rendered.getOrInsertComputed(name, render) : render();

  return (view, page) => {
    const template = production ? compiled.getOrInsertComputed(view, compile) : compile(view);
    return template({ once, ...page });
  };
}
