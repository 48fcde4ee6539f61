/** A median with its 95 % confidence interval. */
export type Estimate = { median: number; low: number; high: number };

export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (n: number) => sorted[n] ?? Number.NaN;
  return (at((sorted.length - 1) >> 1) + at(sorted.length >> 1)) / 2;
}

/**
 * The sign-test interval: the two values between which the true median lies with a probability of at
 * least 95 %, whatever the distribution (W. R. Thompson, Annals of Mathematical Statistics 7:3, 1936).
 * Fewer than six values give no interval.
 */
export function estimate(values: readonly number[]): Estimate {
  const sorted = values.toSorted((a, b) => a - b);
  // How likely it is that exactly `k`, and at most `k`, of the values lie below the true median.
  let exactly = 0.5 ** sorted.length;
  let atMost = 0;
  let k = 0;
  for (; atMost + exactly <= 0.025; k++) {
    atMost += exactly;
    exactly *= (sorted.length - k) / (k + 1);
  }
  const [low = 0, high = Number.POSITIVE_INFINITY] =
    k === 0 ? [] : [sorted[k - 1], sorted[sorted.length - k]];
  return { median: medianOf(sorted), low, high };
}

/**
 * Whether a ratio may be noise: its interval is at least as wide as its distance from 1 or from the
 * goal, whichever is more.
 */
export const isNoise = ({ median, low, high }: Estimate, goal: number): boolean =>
  !(high - low < Math.max(Math.abs(median - 1), Math.abs(median - goal)));
