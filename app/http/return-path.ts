/**
 * Where to go after log-in: only to a page of this shop. A link that logs you in here and then leads
 * to another site helps phishers. Browsers take `//host`, `/\host` and a path with a tab for another
 * host.
 * @returns a path with its query, or `/`
 */
export function returnPath(next: unknown): string {
  const here = 'http://here.invalid';
  const url = typeof next === 'string' && next.startsWith('/') ? URL.parse(next, here) : null;
  return url?.origin === here && !url.pathname.startsWith('//') ? url.pathname + url.search : '/';
}
