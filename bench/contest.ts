import type { Contestant } from './contestants.ts';
import { load, type Visitor, visitorsFor, type Workload } from './load.ts';
import { type Fault, watch } from './machine.ts';
import { type Estimate, estimate } from './statistics.ts';

/** One app under load: CPU time per request in ms, requests a second, p99 in ms. */
export type Turn = {
  name: string;
  cpu: number;
  rps: number;
  p99: number;
  fault?: Fault;
};

/** In each round, the app and the others take turns: the app, another, the app, the next, the app. */
export type Rounds = Turn[][];

type Options = {
  workloads: readonly Workload[];
  sessions: number;
  turnMs: number;
  warmUpMs: number;
  /** This many minutes after the start of this process, it finishes the round and stops. */
  minutes: number;
  redisPid: number;
};

/** Measures the first contestant against each of the others, in neighbouring turns. */
export async function compete(
  [ours, ...others]: readonly Contestant[],
  { workloads, sessions, turnMs, warmUpMs, minutes, redisPid }: Options,
  say: (line: string) => void,
): Promise<{ workload: Workload; rounds: Rounds }[]> {
  const results = workloads.map((workload) => ({
    workload,
    lineUp: [] as ((ms: number) => Promise<Turn>)[],
    rounds: [] as Rounds,
  }));
  for (const { workload, lineUp } of results) {
    const enter = async (contestant: Contestant) => {
      const visitors = await visitorsFor(workload, contestant.origin, sessions);
      const take = (ms: number) => turn(contestant, workload, visitors, ms, redisPid);
      // V8 needs thousands of requests to compile the code fully.
      await take(warmUpMs);
      return take;
    };
    const us = await enter(ours as Contestant);
    lineUp.push(us);
    for (const other of others.filter(({ can }) => can.includes(workload)))
      lineUp.push(await enter(other), us);
  }
  do {
    for (const { workload, lineUp, rounds } of results) {
      const round: Turn[] = [];
      for (const take of lineUp) round.push(await take(turnMs));
      rounds.push(round);
      const thrown = round.filter(({ fault }) => fault).length;
      say(`${workload}: ${round.length} turns, ${thrown} thrown away`);
    }
  } while (performance.now() < minutes * 60_000);
  return results;
}

async function turn(
  { name, origin, pid }: Contestant,
  workload: Workload,
  visitors: readonly Visitor[],
  ms: number,
  redisPid: number,
): Promise<Turn> {
  const { result, cpuMs, fault } = await watch(pid, [redisPid], () =>
    load(origin, workload, visitors, ms),
  );
  const { rps, p99, requests } = result;
  return { name, cpu: cpuMs / requests, rps, p99, fault };
}

/** How the CPU time of `name` compares with the app's in the turns before and after. */
export function ratioOf(rounds: Rounds, name: string): Estimate {
  const ratios = rounds.flatMap((round) =>
    round.flatMap((one, n) => {
      if (one.name !== name || one.fault) return [];
      const neighbours = [round[n - 1], round[n + 1]].filter((other) => other && !other.fault);
      const sum = neighbours.reduce((total, other) => total + (other?.cpu ?? 0), 0);
      return sum ? [(one.cpu * neighbours.length) / sum] : [];
    }),
  );
  return estimate(ratios);
}
