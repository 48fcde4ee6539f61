type Rule = readonly [isKept: unknown, rule: string];

/**
 * Checks options when the app starts. No compiler checks JavaScript, and to TypeScript, NaN is a number.
 * @throws TypeError with the first rule that is broken
 */
export function requireAll(...rules: Rule[]): void {
  for (const [isKept, rule] of rules) if (!isKept) throw new TypeError(rule);
}

export function hasMethods(subject: unknown, ...names: string[]): boolean {
  const methods = subject as { [name: string]: unknown } | null | undefined;
  return names.every((name) => typeof methods?.[name] === 'function');
}

export const isBackend = (backend: unknown): Rule => [
  hasMethods(backend, 'get', 'compareAndSet', 'destroy'),
  'The backend must have get, compareAndSet and destroy: see memoryBackend()',
];

/** 300 years: more must be a mistake. */
export const LONGEST_MS = 1e13;
/** 24 days. Node fires a timer at once if it is set for longer. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** @param orInfinity whether the times may be Infinity */
export const areTimes = (times: object, longest = LONGEST_MS, orInfinity = false): Rule[] =>
  Object.entries(times).map(([name, ms]: [string, unknown]) => [
    typeof ms === 'number' && ms > 0 && (ms <= longest || (orInfinity && ms === Infinity)),
    `${name} must be a number of milliseconds above 0 and at most ${longest}${orInfinity ? ', or Infinity' : ''}, not ${String(ms)}`,
  ]);
