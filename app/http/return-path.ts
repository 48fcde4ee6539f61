const MAX_LENGTH = 1000;

/**
 * @returns `next` if it is a path of this shop, without its query if it is too long, else `/`. It never
 *   throws, because the shop itself made most of these paths. A log-in link that ends on another site
 *   helps a phisher, and browsers read `//host`, `/\host` and a path with a tab as another host.
 */
export function returnPath(next: unknown): string {
  const here = 'http://here.invalid';
  const url = typeof next === 'string' && next.startsWith('/') ? URL.parse(next, here) : null;
  if (url?.origin !== here || url.pathname.startsWith('//')) return '/';
  const { pathname, search } = url;
  return [pathname + search, pathname].find((path) => path.length <= MAX_LENGTH) ?? '/';
}
