import type { Contestant } from './contestants.ts';
import { load, type Visitor, visitorsFor, type Workload } from './load.ts';

/** One app in one round: requests a second, p99 and CPU time a request in ms, share of a core in use. */
export type Figures = { rps: number; p99: number; cpu: number; busy: number };
/** By workload, by contestant: one entry for each round. */
export type Results = Partial<Record<Workload, Record<string, Figures[]>>>;

/**
 * Measures each workload in rounds. In each round all apps take their turn, so any change in the machine
 * affects all of them equally. A long warm-up round is not counted: V8 needs thousands of requests to
 * compile the code fully.
 */
export async function compete(
  contestants: readonly Contestant[],
  { rounds, ms, warmUpMs, sessions, workloads }: Options,
  say: (line: string) => void,
): Promise<Results> {
  const results: Results = {};
  for (const workload of workloads) {
    const taking = contestants.filter(({ can }) => can.includes(workload));
    const figures = Object.fromEntries(taking.map(({ name }) => [name, [] as Figures[]]));
    const visitors = new Map<Contestant, Visitor[]>();
    for (let round = 0; round <= rounds; round++)
      for (const contestant of taking) {
        const { name, origin, usage } = contestant;
        // A log-in ends the session that it starts from, so these visitors log in only once.
        const again = workload === 'log-in' ? undefined : visitors.get(contestant);
        const these = again ?? (await visitorsFor(workload, origin, sessions));
        visitors.set(contestant, these);
        const before = await usage();
        const { rps, p99, requests } = await load(
          origin,
          workload,
          these,
          round === 0 ? warmUpMs : ms,
        );
        const used = (await usage()).cpuMs - before.cpuMs;
        if (round === 0) continue;
        const one = { rps, p99, cpu: used / requests, busy: (used / requests) * (rps / 1000) };
        figures[name]?.push(one);
        say(
          `${workload}, round ${round}, ${name}: ${Math.round(rps)}/s, CPU ${one.cpu.toFixed(3)} ms`,
        );
      }
    results[workload] = figures;
  }
  return results;
}

type Options = {
  rounds: number;
  ms: number;
  warmUpMs: number;
  sessions: number;
  workloads: readonly Workload[];
};

/** The median, with the minimum and maximum. */
export type Spread = { median: number; least: number; most: number };

export function spreadOf(numbers: readonly number[]): Spread {
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = (n: number) => sorted[n] ?? Number.NaN;
  const half = sorted.length / 2;
  const median = (at(Math.ceil(half) - 1) + at(Math.floor(half))) / 2;
  return { median, least: at(0), most: at(sorted.length - 1) };
}

/** The ratio of one contestant to another in each round, so that a slow moment slows both. */
export function ratioOf(
  results: Results,
  workload: Workload,
  measure: keyof Figures,
  name: string,
  against: string,
): Spread {
  const ours = results[workload]?.[name] ?? [];
  const theirs = results[workload]?.[against] ?? [];
  return spreadOf(ours.map((one, n) => one[measure] / (theirs[n]?.[measure] ?? Number.NaN)));
}
