import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { run } from '../test-support/run.ts';

const cores = availableParallelism();

/**
 * `BENCH_CORES=2,3,1,0`: the cores for the app under test, the load, Redis and a second process, in that
 * order. With fewer cores, Redis shares the load's core, and the second process has none of its own.
 */
export const [serverCore, loadCore, redisCore = loadCore, spareCore] = (
  process.env.BENCH_CORES?.split(',') ??
  [cores - 2, cores - 1, cores - 3, cores - 4].filter((core) => core >= 0)
).map(String) as [string, string, string?, string?];

/** Pins a process, and those it starts from now on, to `core`. Needs Linux. */
export const pin = (core: string, pid: number) => run('taskset', ['-acp', core, `${pid}`]);

/** What some processes have used so far. */
export type Usage = {
  cpuMs: number;
  memoryMb: number;
  /** Thread by thread: the time on a core, and the time in the queue for one. */
  threads: Map<string, { ranMs: number; waitedMs: number }>;
};

/** Outside Linux, there is no /proc, and all is 0. */
export function usageOf(...pids: number[]): Usage {
  const threads: Usage['threads'] = new Map();
  let memoryMb = 0;
  for (const pid of pids) {
    memoryMb += Number(/VmRSS:\s+(\d+)/.exec(proc(`${pid}/status`))?.[1] ?? 0) / 1024;
    // In nanoseconds. The times of whole processes have a resolution of 10 ms.
    for (const id of threadsOf(pid)) {
      const [ran = 0, waited = 0] = proc(`${pid}/task/${id}/schedstat`).split(' ').map(Number);
      threads.set(id, { ranMs: ran / 1e6, waitedMs: waited / 1e6 });
    }
  }
  const cpuMs = [...threads.values()].reduce((sum, { ranMs }) => sum + ranMs, 0);
  return { cpuMs, memoryMb, threads };
}

/**
 * How long, at least, other processes kept the busiest of these threads waiting: its waiting time, minus
 * the time that the other threads ran.
 */
export function disturbedMs(before: Usage, after: Usage): number {
  const spent = [...after.threads].map(([id, { ranMs, waitedMs }]) => {
    const then = before.threads.get(id) ?? { ranMs: 0, waitedMs: 0 };
    return { ran: ranMs - then.ranMs, waited: waitedMs - then.waitedMs };
  });
  const [busiest, ...others] = spent.toSorted((a, b) => b.ran - a.ran);
  return (busiest?.waited ?? 0) - others.reduce((sum, { ran }) => sum + ran, 0);
}

/** The time so far that the hypervisor gave to other machines while these cores had work to do. */
const stolenMs = (...onCores: string[]): number =>
  [...new Set(onCores)].reduce((sum, core) => {
    const [, ...ticks] = new RegExp(`^cpu${core} .*`, 'm').exec(proc('stat'))?.[0].split(' ') ?? [];
    return sum + Number(ticks[7] ?? 0) * 10;
  }, 0);

/** Why a turn is thrown away: the hypervisor took the core, or another process ran on it. */
export type Fault = 'stolen' | 'disturbed' | undefined;

/** A turn may lose 2 % of its time to other machines, or 10 % to other processes. */
export function faultOf(ms: number, stolen: number, disturbed: number): Fault {
  if (stolen > 0.02 * ms) return 'stolen';
  return disturbed > 0.1 * ms ? 'disturbed' : undefined;
}

/**
 * What the server used while `work` ran, and whether it ran undisturbed.
 * @param pid the server, which may have child processes
 * @param others processes that share a core with this process, which sends the load: they are no disturbance
 */
export async function watch<T>(pid: number, others: readonly number[], work: () => Promise<T>) {
  const look = () => ({
    at: performance.now(),
    server: usageOf(...family(pid)),
    load: usageOf(process.pid, ...others),
    stolen: stolenMs(serverCore, loadCore),
  });
  const before = look();
  const result = await work();
  const after = look();
  const disturbed = Math.max(
    disturbedMs(before.server, after.server),
    disturbedMs(before.load, after.load),
  );
  return {
    result,
    cpuMs: after.server.cpuMs - before.server.cpuMs,
    fault: faultOf(after.at - before.at, after.stolen - before.stolen, disturbed),
  };
}

/** A process, its children, and theirs. */
export function family(pid: number): number[] {
  const children = proc(`${pid}/task/${pid}/children`).trim().split(' ').filter(Boolean);
  return [pid, ...children.map(Number).flatMap(family)];
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function proc(file: string): string {
  try {
    return readFileSync(`/proc/${file}`, 'utf8');
  } catch {
    return '';
  }
}
