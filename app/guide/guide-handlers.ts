import type { RequestHandler } from 'express';
import chaptersWithoutCode from '../../views/guide/chapters.json' with { type: 'json' };
import type { Pages } from '../http/pages.ts';
import { Refusal } from '../http/refusal.ts';
import { excerpt } from './excerpt.ts';

export function guideHandlers({ pages }: { pages: Pages }) {
  const chapters = chaptersWithoutCode.map(({ code, ...chapter }) => ({
    ...chapter,
    code: code.map(({ file, name }) => ({ file, name, text: excerpt(file, name) })),
  }));

  const index: RequestHandler = (req, res) => {
    const json = { chapters: chapters.map(({ slug, title, about }) => ({ slug, title, about })) };
    return pages.show(req, res, 'guide/index', { title: 'The guide', chapters }, json);
  };

  const show: RequestHandler = (req, res) => {
    const n = chapters.findIndex(({ slug }) => slug === req.params.chapter);
    const [before, chapter, after] = [chapters[n - 1], chapters[n], chapters[n + 1]];
    if (!chapter) throw new Refusal(404, 'The guide has no chapter with this name.');
    const content = { title: chapter.title, chapter, before, after };
    return pages.show(req, res, 'guide/chapter', content, chapter);
  };

  return { index, show };
}
