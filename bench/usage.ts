import { readdir, readFile } from 'node:fs/promises';

/** What a process and its children have used so far, or NaN on a system without /proc. */
export type Usage = { cpuMs: number; memoryMb: number };

export async function usageOf(pid: number): Promise<Usage> {
  const used = await Promise.all((await family(pid)).map(usageOfOne));
  return {
    cpuMs: used.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
    memoryMb: used.reduce((sum, { memoryMb }) => sum + memoryMb, 0),
  };
}

async function usageOfOne(pid: number): Promise<Usage> {
  // In nanoseconds, thread by thread: per-process times have a resolution of 10 ms, which is too
  // coarse for a short round on a busy core.
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const stats = await Promise.all(threads.map((id) => proc(pid, `task/${id}/schedstat`)));
  const ns = stats.map((stat) => Number(/^\d+/.exec(stat)?.[0]));
  const kb = Number(/VmRSS:\s+(\d+)/.exec(await proc(pid, 'status'))?.[1]);
  return { cpuMs: ns.reduce((sum, n) => sum + n, 0) / 1e6 || Number.NaN, memoryMb: kb / 1024 };
}

async function family(pid: number): Promise<number[]> {
  const children = (await proc(pid, `task/${pid}/children`)).trim().split(' ').filter(Boolean);
  return [pid, ...(await Promise.all(children.map((child) => family(Number(child))))).flat()];
}

const proc = (pid: number, file: string) =>
  readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');
