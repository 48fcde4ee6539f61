import type { Request } from 'express';

/**
 * Whether to answer with JSON: to whoever asks for it, and to whoever sends it without asking for a page. A
 * browser and a bare `curl` get the page.
 */
export function wantsJson(req: Request): boolean {
  const accept = req.headers.accept ?? '';
  // A browser names pages first; to weigh all that it takes would cost some 3 % of a page.
  if (/^text\/html(,|$)/.test(accept) && !accept.includes('json')) return false;
  return (
    req.accepts(['html', 'json']) === 'json' ||
    (Boolean(req.is('json')) && !accept.includes('text/html'))
  );
}
