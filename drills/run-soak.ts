import { readdirSync, readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRedis } from '../test-support/redis.ts';
import { type AppServer, startServer } from '../test-support/start-server.ts';
import { tempDatabase } from '../test-support/temp-dir.ts';
import { until } from '../test-support/until.ts';
import type { Print } from './run-outage.ts';
import { startSoakVisitors } from './soak-visitors.ts';
import type { TimedResponse } from './visitors.ts';

type Parts = { app: AppServer; redis: Awaited<ReturnType<typeof startRedis>>; database: string };

/** `refuses`: visitors may get a 503. `cutsOff`: requests may get no response. */
type Event = {
  what: string;
  refuses?: boolean;
  cutsOff?: boolean;
  happen(parts: Parts): Promise<void>;
};

export const roll: Event = {
  what: 'both workers replaced (SIGHUP)',
  happen: async ({ app }) => {
    const old = workersOf(app);
    app.kill('SIGHUP');
    await until(async () => isReplaced(app, old, old.length), 'all workers are replaced', 60_000);
  },
};

const workerKilled: Event = {
  what: 'a worker killed',
  cutsOff: true,
  happen: async ({ app }) => {
    const old = workersOf(app);
    process.kill(old[0] ?? 0, 'SIGKILL');
    await until(async () => isReplaced(app, old, 1), 'another worker has taken its place');
  },
};

export const redisKilled: Event = {
  what: 'Redis killed, restarted after 2 s',
  refuses: true,
  happen: async ({ redis }) => {
    await redis.kill();
    await sleep(2000);
    await redis.restart();
  },
};

const redisSilent: Event = {
  what: 'Redis silent for 4 s',
  refuses: true,
  happen: async ({ redis }) => {
    redis.pause();
    await sleep(4000);
    redis.resume();
  },
};

const redisRefuses: Event = {
  what: 'Redis refuses writes for 3 s',
  refuses: true,
  happen: async ({ redis }) => {
    await redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '9');
    await sleep(3000);
    await redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '0');
  },
};

const databaseLocked: Event = {
  what: 'the database locked for 3 s',
  refuses: true,
  happen: async ({ database }) => {
    const other = new DatabaseSync(database, { timeout: 5000 });
    other.exec('begin immediate');
    await sleep(3000);
    other.close();
  },
};

/** The workers are replaced early and at the end. In between, the same ones live on, and are measured. */
export const SOAK = [
  ...[roll, redisKilled, roll, workerKilled],
  ...[databaseLocked, redisSilent, redisRefuses, redisKilled],
  ...[databaseLocked, redisSilent, redisRefuses, redisKilled],
  roll,
];

type Phase = {
  what: string;
  minute: number;
  responses: number;
  refused: number;
  unanswered: number;
  longestMs: number;
  /** From the end of the event to the last refusal. */
  refusedForMs: number;
};
/** Medians over the first and the last third of the life of the workers that lived longest. */
type Use = { what: string; early: number; late: number };
export type SoakReport = {
  phases: Phase[];
  uses: Use[];
  acknowledged: { changes: number; logIns: number; logOuts: number; views: number };
  /** What must not happen. An empty list is a success. */
  problems: string[];
};

type SoakOptions = {
  /** In all. Each event begins at its share of this time, or when the one before it is over. */
  seconds: number;
  events: readonly Event[];
  /** How Redis keeps what it has acknowledged. */
  persistence?: string[];
  workers?: number;
  print?: Print;
};

/**
 * Runs the shop in production, with Redis and SQLite, under a load of log-ins, carts and log-outs, while
 * the events happen. Afterwards, it checks that every acknowledged change is there.
 */
export async function runSoak({
  seconds,
  events,
  persistence = ['--appendonly', 'yes', '--appendfsync', 'everysec'],
  workers = 2,
  print = () => {},
}: SoakOptions): Promise<SoakReport> {
  await using cleanup = new AsyncDisposableStack();
  const redis = cleanup.adopt(await startRedis({ args: persistence }), ({ stop }) => stop());
  const database = cleanup.adopt(await tempDatabase(), (each) => each.stop());
  const app = await startServer({
    NODE_ENV: 'production',
    REDIS_URL: redis.url,
    DATABASE_URL: database.url,
    SESSION_SECRET: 'f3Xw9Lq2Vb7Nc5Zk8Hs4Jd6Gt1Ry0PmU',
    TRUST_PROXY: 'loopback',
    WEB_CONCURRENCY: `${workers}`,
  });
  cleanup.defer(async () => void (await app.stop()));
  const allListen = () =>
    app.output().split('Cloakroom is open').length - 1 === workers &&
    workersOf(app).length === workers;
  await until(async () => allListen(), 'all workers listen');

  const startedAt = performance.now();
  const minute = () => (performance.now() - startedAt) / 60_000;
  const visitors = startSoakVisitors(app.origin);
  cleanup.defer(visitors.stop);
  const { acknowledged } = visitors;
  await until(async () => acknowledged.changes > 50, 'the carts have something to lose');
  const samples: Sample[] = [];
  const timer = setInterval(() => samples.push(sampleOf(app)), 5000);
  cleanup.defer(() => clearInterval(timer));

  const phases: Phase[] = [];
  const problems: string[] = [];
  const parts = { app, redis, database: database.url.slice('sqlite:'.length) };
  for (const [n, event] of [undefined, ...events].entries()) {
    const next = startedAt + (seconds * 1000 * (n + 1)) / (events.length + 1);
    const beganAt = minute();
    print(`${beganAt.toFixed(1)} min: ${event?.what ?? 'all is well'}`);
    await event?.happen(parts);
    const overAt = performance.now();
    await visitors.allAnswered();
    await sleep(Math.max(0, next - performance.now()));
    phases.push(phaseOf(event, beganAt, visitors.takeResponses(), overAt, problems));
  }
  clearInterval(timer);
  await visitors.stop();
  problems.push(...visitors.problems);
  const uses = usesOf(samples);
  for (const { what, early, late } of uses)
    if (late > early * 1.2) problems.push(`${what} grew from ${early} to ${late}`);
  return { phases, uses, acknowledged, problems };
}

function phaseOf(
  event: Event | undefined,
  minute: number,
  responses: TimedResponse[],
  overAt: number,
  problems: string[],
): Phase {
  const what = event?.what ?? 'all is well';
  const refused = responses.filter(({ status }) => status === 503);
  const unanswered = responses.filter(({ status }) => status === 0);
  if (refused.length > 0 && !event?.refuses) problems.push(`${what}: ${refused.length} refused`);
  if (unanswered.length > 0 && !event?.cutsOff)
    problems.push(`${what}: ${unanswered.length} without a response`);
  const lastRefusal = Math.max(overAt, ...refused.map(({ at, ms }) => at + ms));
  return {
    what,
    minute,
    responses: responses.length,
    refused: refused.length,
    unanswered: unanswered.length,
    longestMs: Math.max(0, ...responses.map(({ ms }) => ms)),
    refusedForMs: lastRefusal - overAt,
  };
}

type Sample = { pids: string; workers: number; primary: number; descriptors: number };

/** Memory in MB, and open descriptors of all processes. */
function sampleOf(app: AppServer): Sample {
  const memory = (pid: number) =>
    Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
  const sum = (pids: number[], of: (pid: number) => number) =>
    pids.reduce((total, pid) => {
      try {
        return total + of(pid);
      } catch {
        return total; // it has just ended
      }
    }, 0);
  const workers = workersOf(app);
  return {
    pids: workers.join(),
    workers: sum(workers, memory),
    primary: sum([app.pid], memory),
    descriptors: sum([app.pid, ...workers], (pid) => readdirSync(`/proc/${pid}/fd`).length),
  };
}

function usesOf(all: Sample[]): Use[] {
  const lives = Object.values(Object.groupBy(all, ({ pids }) => pids));
  const [samples = []] = lives.toSorted((a, b) => (b?.length ?? 0) - (a?.length ?? 0));
  if (samples.length < 30) return []; // too short a life to tell growth from a start
  const third = Math.floor(samples.length / 3);
  const median = (of: 'workers' | 'primary' | 'descriptors', part: Sample[]) =>
    Math.round(part.map((each) => each[of]).toSorted((a, b) => a - b)[part.length >> 1] ?? 0);
  const use = (what: string, of: 'workers' | 'primary' | 'descriptors') => ({
    what,
    early: median(of, samples.slice(0, third)),
    late: median(of, samples.slice(-third)),
  });
  return [
    use('memory of both workers, MB', 'workers'),
    use('memory of the primary, MB', 'primary'),
    use('open descriptors', 'descriptors'),
  ];
}

function workersOf({ pid }: AppServer): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return children ? children.split(' ').map(Number) : [];
}

/** Whether there are as many workers as before, and `count` of the old ones are gone. */
function isReplaced(app: AppServer, old: number[], count: number): boolean {
  const now = workersOf(app);
  const left = old.filter((pid) => now.includes(pid));
  return now.length === old.length && left.length === old.length - count;
}
