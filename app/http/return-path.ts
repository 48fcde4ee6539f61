/**
 * Where to go after log-in, as far as it is a place of this shop. A link that logs you in here and
 * ends up elsewhere is a phisher's tool, and browsers read `//host`, `/\host` and a tab inside as
 * another host.
 * @returns a path with its query, or `/`
 */
export function returnPath(next: unknown): string {
  const here = 'http://here.invalid';
  const url = typeof next === 'string' && next.startsWith('/') ? URL.parse(next, here) : null;
  return url?.origin === here && !url.pathname.startsWith('//') ? url.pathname + url.search : '/';
}
