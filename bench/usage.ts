import { readFile } from 'node:fs/promises';

/** What a process and those it has started have used so far; NaN where there is no /proc. */
export type Usage = { cpuMs: number; memoryMb: number };

export async function usageOf(pid: number): Promise<Usage> {
  const used = await Promise.all((await family(pid)).map(usageOfOne));
  return {
    cpuMs: used.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
    memoryMb: used.reduce((sum, { memoryMb }) => sum + memoryMb, 0),
  };
}

async function usageOfOne(pid: number): Promise<Usage> {
  // User and system time, in ticks of 10 ms, stand after the name, which is in brackets.
  const stat = await proc(pid, 'stat');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const kb = Number(/VmRSS:\s+(\d+)/.exec(await proc(pid, 'status'))?.[1]);
  return { cpuMs: 10 * (Number(fields[11]) + Number(fields[12])), memoryMb: kb / 1024 };
}

async function family(pid: number): Promise<number[]> {
  const children = (await proc(pid, `task/${pid}/children`)).trim().split(' ').filter(Boolean);
  return [pid, ...(await Promise.all(children.map((child) => family(Number(child))))).flat()];
}

const proc = (pid: number, file: string) =>
  readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');
