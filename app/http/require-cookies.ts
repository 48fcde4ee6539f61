import { parse } from 'cookie';
import type { RequestHandler } from 'express';
import { cookieReachesBrowser, type SessionOptions } from '../session/index.ts';
import { Refusal } from './refusal.ts';

/**
 * For forms that need a session, and for their pages. Where a browser blocks cookies, such a form would
 * fail without a word, and each try would start a session that nobody can use. So the page leaves a
 * cookie, and the form is refused if the browser sends no cookie back. A program need not load the page
 * first.
 */
export function requireCookies({ name, attributes }: SessionOptions['cookie']): RequestHandler {
  const probe = name.startsWith('__Host-') ? '__Host-cookies' : 'cookies';
  return (req, res, next) => {
    const sent = parse(req.headers.cookie ?? '');
    const isForm = req.method === 'POST';
    const isProgram = req.wantsJson || (isForm && !req.get('Origin') && !req.get('Sec-Fetch-Site'));
    if (isProgram || name in sent || probe in sent || !cookieReachesBrowser(req)) return next();
    res.cookie(probe, 'on', attributes);
    if (isForm)
      throw new Refusal(
        400,
        'Your browser sent no cookie back, so the shop cannot tell that it is you. Please allow cookies for this site and send the form again.',
      );
    next();
  };
}
