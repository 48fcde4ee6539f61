const KINDS = ['', 'comment', 'key', 'text', 'number', 'word'];
/** A group for each kind but the first, which is what lies between. */
const TOKENS =
  /(\/\/.*|\/\*[\s\S]*?\*\/)|("(?:[^"\\]|\\.)*"(?=:))|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`)|(\b\d[\d_.]*)|(\b(?:as|async|await|break|const|else|export|false|for|function|if|in|let|new|null|of|return|throw|true|try|catch|type|typeof|undefined)\b)/;

/** Parts JSON or TypeScript into words of one colour, for a page: kind and text. */
export const colour = (code: string) =>
  // After each piece that lies between, `split` puts what each group found, or undefined.
  code
    .split(TOKENS)
    .map((text, n) => [KINDS[n % KINDS.length], text])
    .filter(([, text]) => text);
