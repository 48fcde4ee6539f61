import { existsSync, readFileSync } from 'node:fs';
import type { RequestHandler } from 'express';
import chaptersWithoutCode from '../../views/guide/chapters.json' with { type: 'json' };
import type { Pages } from '../http/pages.ts';
import { Refusal } from '../http/refusal.ts';
import { excerpt, pathOf } from './excerpt.ts';

export function guideHandlers({ pages }: { pages: Pages }) {
  const chapters = chaptersWithoutCode.map(({ code, ...chapter }) => ({
    ...chapter,
    code: code.map(({ file, name }) => ({ file, name, text: excerpt(file, name) })),
  }));

  // The files that the chapters name, and no others. A deployment may come without the tests.
  const named = chapters.flatMap(({ code, tests }) => [...code, ...tests].map(({ file }) => file));
  const present = named.filter((file) => existsSync(pathOf(file)));
  const sources = new Map(present.map((file) => [file, readFileSync(pathOf(file), 'utf8')]));

  const index: RequestHandler = (req, res) => {
    const json = { chapters: chapters.map(({ slug, title, about }) => ({ slug, title, about })) };
    return pages.show(req, res, 'guide/index', { title: 'The guide', chapters }, json);
  };

  const show: RequestHandler = (req, res) => {
    const n = chapters.findIndex(({ slug }) => slug === req.params.chapter);
    const [before, chapter, after] = [chapters[n - 1], chapters[n], chapters[n + 1]];
    if (!chapter) throw new Refusal(404, 'The guide has no chapter with this name.');
    const content = { title: chapter.title, chapter, before, after, sources };
    return pages.show(req, res, 'guide/chapter', content, chapter);
  };

  const source: RequestHandler = (req, res) => {
    const file = [req.params.file].flat().join('/');
    const text = sources.get(file);
    if (text === undefined) throw new Refusal(404, 'The guide does not show this file.');
    return pages.show(req, res, 'guide/source', { title: file, file, text }, { file, text });
  };

  return { index, show, source };
}
