import type { RequestHandler } from 'express';
import written from '../../views/guide/chapters.json' with { type: 'json' };
import type { Pages } from '../http/pages.ts';
import { Refusal } from '../http/refusal.ts';
import { excerpt } from './excerpt.ts';

/** The guide: a chapter for each mistake. It reads the code it shows from the source, at start. */
export function guideHandlers({ pages }: { pages: Pages }) {
  const chapters = written.map(({ code, ...chapter }) => ({
    ...chapter,
    code: code.map(({ file, name }) => ({ file, name, text: excerpt(file, name) })),
  }));

  const index: RequestHandler = (req, res) => {
    const json = { chapters: chapters.map(({ slug, title, about }) => ({ slug, title, about })) };
    return pages.show(req, res, 'guide/index', { title: 'The guide', chapters }, json);
  };

  const show: RequestHandler = (req, res) => {
    const n = chapters.findIndex(({ slug }) => slug === req.params.chapter);
    const chapter = chapters[n];
    if (!chapter) throw new Refusal(404, 'The guide has no such chapter.');
    const { title } = chapter;
    const around = { before: chapters[n - 1], after: chapters[n + 1] };
    return pages.show(req, res, 'guide/chapter', { title, chapter, ...around }, chapter);
  };

  return { index, show };
}
