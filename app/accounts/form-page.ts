import type { ErrorRequestHandler, RequestHandler } from 'express';
import { showPage } from '../http/pages.ts';
import { returnPath } from '../http/return-path.ts';

/**
 * A page with a form. `show` is the page; `keep` shows it again when what was sent is refused, for
 * whatever reason: as it was, less the passwords.
 */
export function form(name: string, title: string) {
  const view = `accounts/${name}`;
  const show: RequestHandler = (req, res) => {
    const content = { title, next: returnPath(req.query.next) };
    return showPage(req, res, view, content, { user: req.session.user ?? null });
  };
  const keep: ErrorRequestHandler = (error: unknown, req, res, next) => {
    const text = (key: string) => (typeof req.body?.[key] === 'string' ? req.body[key] : '');
    const fields = { email: text('email'), name: text('name'), keep: text('keep') };
    const content = { title, ...fields, next: returnPath(text('next')) };
    res.locals.errorPage = { view, content };
    next(error);
  };
  return { show, keep };
}
