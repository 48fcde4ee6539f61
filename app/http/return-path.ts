/**
 * @returns `next` if it is a path of this shop, else `/`. A log-in link that ends on another site
 *   helps a phisher, and browsers read `//host`, `/\host` and a path with a tab as another host.
 */
export function returnPath(next: unknown): string {
  const here = 'http://here.invalid';
  const url = typeof next === 'string' && next.startsWith('/') ? URL.parse(next, here) : null;
  return url?.origin === here && !url.pathname.startsWith('//') ? url.pathname + url.search : '/';
}
