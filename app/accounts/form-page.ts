import type { ErrorRequestHandler, RequestHandler } from 'express';
import type { Pages } from '../http/pages.ts';
import { returnPath } from '../http/return-path.ts';

/**
 * A page with a form. `show` is the page. `showAgain` shows it once more when the form is refused, for
 * any reason, as it was filled in but without the passwords.
 */
export function form(pages: Pages, name: string, title: string) {
  const view = `accounts/${name}`;
  const show: RequestHandler = (req, res) => {
    const content = { title, next: returnPath(req.query.next) };
    return pages.show(req, res, view, content, { user: req.session.user ?? null });
  };
  const showAgain: ErrorRequestHandler = (error: unknown, req, _res, next) => {
    const text = (key: string) => (typeof req.body?.[key] === 'string' ? req.body[key] : '');
    const fields = { email: text('email'), name: text('name'), keep: text('keep') };
    req.errorPage = { view, content: { title, ...fields, next: returnPath(text('next')) } };
    next(error);
  };
  return { show, showAgain };
}
