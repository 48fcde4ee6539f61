import type { Request } from 'express';

/**
 * Whether to answer with JSON: to whoever asks for it, and to whoever sends it without asking for a page. A
 * browser and a bare `curl` get the page.
 */
export function wantsJson(req: Request): boolean {
  const locals: { wantsJson?: boolean } = req.res?.locals ?? {};
  locals.wantsJson ??=
    req.accepts(['html', 'json']) === 'json' ||
    (Boolean(req.is('json')) && !req.get('Accept')?.includes('text/html'));
  return locals.wantsJson;
}
