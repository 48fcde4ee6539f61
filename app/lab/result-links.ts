import { sign, unsign } from 'cookie-signature';

/** The milliseconds, and how many responses had each status. */
type Outcome = [right: number, total: number, ms: number, statuses: [status: number, n: number][]];
/** By the name of the race, the newest last. */
export type Results = Readonly<Record<string, [tutorial: Outcome, here: Outcome]>>;

// The secret signs session cookies, too. No session id begins like this.
const PREFIX = 'lab:';

/**
 * Keeps a visitor's results in the address of the page: a reload runs no race again, every worker can
 * show them, and no session changes. The signature keeps others from sending a link to false results.
 */
export const resultLinks = (secret: string) => ({
  /** @returns a query, which is empty when there are no results */
  write(results: Results): string {
    if (Object.keys(results).length === 0) return '';
    const text = Buffer.from(JSON.stringify(results)).toString('base64url');
    return `?results=${encodeURIComponent(sign(PREFIX + text, secret))}`;
  },
  /** @returns no results for anything that `write` did not write */
  read(value: unknown): Results {
    const text = typeof value === 'string' && unsign(value, secret);
    if (text === false || !text.startsWith(PREFIX)) return {};
    return JSON.parse(Buffer.from(text.slice(PREFIX.length), 'base64url').toString()) as Results;
  },
});

type RaceResult = { right: number; total: number; ms: number; answers: number[] };

export function withResult(
  results: Results,
  race: string,
  { tutorial, here }: { tutorial: RaceResult; here: RaceResult },
): Results {
  const { [race]: _, ...others } = results;
  return { ...others, [race]: [outcomeOf(tutorial), outcomeOf(here)] };
}

function outcomeOf({ right, total, ms, answers }: RaceResult): Outcome {
  const byStatus = [...Map.groupBy(answers, (status) => status)];
  return [right, total, Math.round(ms), byStatus.map(([status, all]) => [status, all.length])];
}
