/**
 * Where to go after log-in, as far as it is a place of this shop. A link that logs you in here and
 * ends up elsewhere is a phisher's tool, and browsers read `//host`, `/\host` and a tab inside as
 * another host.
 * @returns a path with its query, or `/`
 */
export function returnPath(next: unknown): string {
  if (typeof next !== 'string' || !next.startsWith('/')) return '/';
  const here = 'http://here.invalid';
  if (!URL.canParse(next, here)) return '/';
  const { origin, pathname, search } = new URL(next, here);
  return origin === here && !pathname.startsWith('//') ? pathname + search : '/';
}
