import type { ErrorRequestHandler, RequestHandler } from 'express';
import type { Pages } from '../http/pages.ts';
import { returnPath } from '../http/return-path.ts';
import { describeDevice, describeSession } from '../session/index.ts';

/** A page with a form. `showAgain` shows a refused form as it was filled in, without the passwords. */
export function formPage(pages: Pages, name: string, title: string) {
  const view = `accounts/${name}`;
  const show: RequestHandler = (req, res) => {
    const unproved = describeDevice(req)?.unproved;
    const content = { title, next: returnPath(req.query.next), unproved };
    const json = { user: req.session.user ?? null, session: describeSession(req) };
    return pages.show(req, res, view, content, json);
  };
  const showAgain: ErrorRequestHandler = (error: unknown, req, _res, next) => {
    const text = (field: string) => (typeof req.body?.[field] === 'string' ? req.body[field] : '');
    const fields = { email: text('email'), name: text('name'), keep: text('keep') };
    req.errorPage = { view, content: { title, ...fields, next: returnPath(text('next')) } };
    next(error);
  };
  return { show, showAgain };
}
