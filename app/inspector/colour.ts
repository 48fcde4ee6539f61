const TOKENS =
  /(?<comment>\/\/.*|\/\*[\s\S]*?\*\/)|(?<key>"(?:[^"\\]|\\.)*"(?=:))|(?<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`)|(?<number>\b\d[\d_.]*)|(?<word>\b(?:as|async|await|break|const|else|export|false|for|function|if|in|let|new|null|of|return|throw|true|try|catch|type|typeof|undefined)\b)/g;

/** Parts JSON or TypeScript into words of one colour, for a page: [kind, or empty, and text]. */
export function colour(code: string): [kind: string, text: string][] {
  const parts: [string, string][] = [];
  let end = 0;
  for (const { groups = {}, index, 0: text } of code.matchAll(TOKENS)) {
    if (index > end) parts.push(['', code.slice(end, index)]);
    parts.push([Object.keys(groups).find((kind) => groups[kind] !== undefined) ?? '', text]);
    end = index + text.length;
  }
  return [...parts, ['', code.slice(end)]];
}
