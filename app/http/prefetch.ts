import type { Request } from 'express';

/**
 * Whether the browser asks in advance for a page that the visitor may open later or never. Such a
 * request changes nothing: it counts no view, and leaves the flash for when the visitor comes.
 */
export const isPrefetch = (req: Request) =>
  req.method === 'GET' && /^prefetch\b/i.test(req.get('Sec-Purpose') ?? req.get('Purpose') ?? '');
