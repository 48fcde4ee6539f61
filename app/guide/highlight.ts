const KINDS = ['', 'comment', 'key', 'text', 'number', 'word'];
/** A group for each kind except the first, which is everything else. */
const TOKENS =
  /(\/\/.*|\/\*[\s\S]*?\*\/)|("(?:[^"\\]|\\.)*"(?=:))|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`)|(\b\d[\d_.]*)|(\b(?:as|async|await|break|const|else|export|false|for|function|if|in|let|new|null|of|return|throw|true|try|catch|type|typeof|undefined)\b)/;

/** Splits JSON or TypeScript into pieces of one colour each: kind and text. */
export const highlight = (code: string) =>
  // `split` returns each piece between two tokens, then the match of each group, or undefined.
  code
    .split(TOKENS)
    .map((text, n) => [KINDS[n % KINDS.length], text])
    .filter(([, text]) => text);
