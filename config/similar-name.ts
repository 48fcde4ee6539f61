/** The name in `known` that `name` probably misspells. */
export function similarName(name: string, known: readonly string[]): string | undefined {
  if (known.includes(name)) return undefined;
  const upper = name.toUpperCase();
  // The shorter a name, the more others are near: two edits turn HOME into HOST.
  const limit = (each: string) => (each.length < 4 ? 0 : each.length < 8 ? 1 : 2);
  return known.find((each) => {
    const isNear = Math.abs(each.length - upper.length) <= limit(each);
    return isNear && edits(upper, each) <= limit(each);
  });
}

/** How many characters to insert, delete or replace (Levenshtein's distance). */
function edits(from: string, to: string): number {
  let above = Array.from({ length: to.length + 1 }, (_, n) => n);
  for (const [row, a] of Array.from(from).entries()) {
    const line = [row + 1];
    for (const [column, b] of Array.from(to).entries()) {
      const [left = 0, diagonal = 0, up = 0] = [line[column], above[column], above[column + 1]];
      line.push(Math.min(left + 1, up + 1, diagonal + (a === b ? 0 : 1)));
    }
    above = line;
  }
  return above[to.length] ?? 0;
}
