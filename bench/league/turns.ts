import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { Client } from 'undici';
import { inLanes } from '../../test-support/in-lanes.ts';
import { family, loadCore, pin, serverCore, usageOf, watch } from '../machine.ts';

const CONNECTIONS = 32;
/**
 * A multiple of the connections, so that no session has two requests at once. Many, because some stores
 * restart an idle clock only once a second.
 */
const VISITORS = 100 * CONNECTIONS;

export const workloads = {
  read: { method: 'GET', path: '/items' },
  change: { method: 'POST', path: '/add' },
} as const;
export type Workload = keyof typeof workloads;

export type StoreApp = Awaited<ReturnType<typeof startStoreApp>>;
/**
 * One turn: requests a second, CPU time per request (app and server together) and p99, both in ms.
 * `isGood`: neither the hypervisor nor another process took a core meanwhile.
 */
export type Turn = { rps: number; cpu: number; p99: number; isGood: boolean };

/** Pins this process, which sends the load. @returns whether the system can do that */
export const pinLoad = () =>
  pin(loadCore, process.pid).then(
    () => true,
    () => false,
  );

/**
 * The app of a contestant, in a process of its own.
 * @param url the store that another process has started. Default: it starts its own
 */
export async function startStoreApp(name: string, isPinned: boolean, url?: string) {
  const child = fork(join(import.meta.dirname, 'store-app.ts'), url ? [name, url] : [name], {
    env: { ...process.env, NODE_ENV: 'production' },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  const answer = async () => {
    const [message] = await Promise.race([once(child, 'message'), exited]);
    if (typeof message === 'number' || message === null) throw new Error(`${name} ended`);
    return message;
  };
  const started: { origin: string; url?: string } = await answer();
  const pid = child.pid as number;
  if (isPinned) for (const each of family(pid)) await pin(serverCore, each);
  return {
    name,
    ...started,
    pid,
    visitors: [] as string[],
    usage: () => usageOf(...family(pid)),
    fill: (count: number) => {
      child.send(count);
      return answer();
    },
    stop: async () => {
      child.disconnect();
      await exited;
    },
  };
}

/** @returns the cookie of a visitor with a session */
export async function newVisitor({ origin }: { origin: string }): Promise<string> {
  const response = await fetch(`${origin}/log-in`, { method: 'POST' });
  await response.text();
  return response.headers.getSetCookie()[0]?.split(';')[0] ?? '';
}

/** Sends requests for `ms` milliseconds, over connections that each wait for their response. */
export async function turn(app: StoreApp, workload: Workload, ms: number): Promise<Turn> {
  const { origin, visitors, pid } = app;
  const times: number[] = [];
  const start = performance.now();
  const send = async (first: number) => {
    const client = new Client(origin);
    for (let n = first; performance.now() < start + ms; n += CONNECTIONS) {
      const sent = performance.now();
      const headers = { cookie: visitors[n % visitors.length] ?? '' };
      const { statusCode, body } = await client.request({ ...workloads[workload], headers });
      await body.dump();
      if (statusCode !== 200) throw new Error(`${app.name} answers ${statusCode}`);
      times.push(performance.now() - sent);
    }
    await client.close();
  };
  const {
    result: passedMs,
    cpuMs,
    fault,
  } = await watch(pid, [], async () => {
    await Promise.all(Array.from({ length: CONNECTIONS }, (_, first) => send(first)));
    return performance.now() - start;
  });
  return {
    rps: (times.length / passedMs) * 1000,
    cpu: cpuMs / times.length,
    p99: times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? Number.NaN,
    isGood: !fault,
  };
}

/** Lets the visitors log in, and sends requests until V8 has compiled the app's code. */
export async function warmUp(app: StoreApp, requests: number): Promise<void> {
  const logIn = async () => void app.visitors.push(await newVisitor(app));
  await inLanes(new Array<undefined>(VISITORS), logIn);
  for (let sent = 0; sent < requests; )
    for (const workload of ['read', 'change'] as const)
      sent += (await turn(app, workload, 500)).rps / 2;
}

/** @returns milliseconds per change, and which share of the changes was kept */
export async function contend(apps: readonly StoreApp[], writers: number, changes: number) {
  const [first] = apps as [StoreApp];
  const cookie = await newVisitor(first);
  const each = Math.ceil(changes / writers);
  const write = async (n: number) => {
    const client = new Client(apps[n % apps.length]?.origin ?? '');
    for (let k = 0; k < each; k++) {
      const { statusCode, body } = await client.request({
        ...workloads.change,
        headers: { cookie },
      });
      await body.dump();
      if (statusCode !== 200) throw new Error(`${first.name} answers ${statusCode}`);
    }
    await client.close();
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: writers }, (_, n) => write(n)));
  const ms = (performance.now() - start) / (each * writers);
  const response = await fetch(first.origin + workloads.read.path, { headers: { cookie } });
  const { items } = (await response.json()) as { items: number };
  return { ms, kept: items / (each * writers) };
}
