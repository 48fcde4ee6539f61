import cluster, { type Worker } from 'node:cluster';
import type { Logger } from 'pino';

type SupervisorOptions = {
  /** How many workers serve. */
  count: number;
  /** Set in each worker, beside this process's own environment. */
  env: Record<string, string>;
  log: Logger;
};

// A worker that lived for less died at once: the wait before the next one doubles each time.
const STEADY_MS = 5_000;
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 30_000;
// SIGKILL ends a worker that takes longer.
const START_MS = 30_000;
const DRAIN_MS = 9_000;

/**
 * Makes this process the primary: it keeps the listening socket, hands each connection to one of
 * `count` workers, which run the same program, and serves no request itself.
 *
 * A worker that dies is replaced. SIGHUP replaces all, one at a time, with workers that run the code
 * then on disk; each drains only once its successor listens, and stays if that does not start. SIGTERM
 * and SIGINT drain all and exit with 0 within 10 s. If the primary dies, node:cluster ends the workers.
 */
export function supervise({ count, env, log }: SupervisorOptions): void {
  // Oldest first. Not those that drain, nor a successor that does not listen yet.
  const serving = new Set<Worker>();
  let everListened = false;
  let rolling = false;
  let rollAgain = false;
  let stopping = false;
  // SIGHUP may bring better code: what died before it says nothing about what comes after.
  let rolls = 0;

  cluster.schedulingPolicy = cluster.SCHED_RR;
  cluster.once('listening', () => {
    everListened = true;
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(0));
  process.on('SIGHUP', () => void roll());
  for (let n = 0; n < count; n++) serving.add(fork());

  /** @param deaths how many before it, in its place, died at once */
  function fork(deaths = 0): Worker {
    const worker = cluster.fork(env);
    const forked = performance.now();
    const bornIn = rolls;
    const tooLong = setTimeout(() => worker.process.kill('SIGKILL'), START_MS);
    worker.once('listening', () => clearTimeout(tooLong));
    const replace = (code: unknown, signal: unknown) => {
      clearTimeout(tooLong);
      if (stopping || !serving.delete(worker)) return;
      // It cannot start at all, say for a port that is taken: whoever started this should know.
      if (!everListened) {
        log.fatal({ worker: worker.process.pid, code, signal }, 'A worker could not start');
        return void stop(1);
      }
      const atOnce = performance.now() - forked < STEADY_MS;
      const before = bornIn === rolls ? deaths : 0;
      const waitMs = atOnce ? Math.min(FIRST_WAIT_MS * 2 ** before, LONGEST_WAIT_MS) : 0;
      log.error({ worker: worker.process.pid, code, signal, waitMs }, 'A worker died');
      setTimeout(() => {
        if (serving.size < count && !stopping) serving.add(fork(atOnce ? before + 1 : 0));
      }, waitMs);
    };
    worker.once('exit', replace).on('error', replace);
    return worker;
  }

  async function roll(): Promise<void> {
    rollAgain = rolling;
    if (rolling || stopping) return;
    rolling = true;
    rolls += 1;
    const old = new Set(serving);
    log.info({ workers: count }, 'Replacing the workers');
    const unfinished = () => !stopping && (serving.size < count || !old.isDisjointFrom(serving));
    let failed = false;
    while (unfinished()) {
      const successor = fork();
      failed = !(await listens(successor));
      if (failed) break;
      serving.add(successor);
      const [oldest] = serving;
      if (oldest && serving.size > count) void retire(oldest);
    }
    rolling = false;
    if (stopping) return;
    if (!failed) log.info('All workers are new');
    else log.error('A new worker did not start: the old ones stay');
    if (rollAgain) void roll();
  }

  async function stop(code: number): Promise<void> {
    if (stopping) return;
    stopping = true;
    log.info('Closing');
    const workers = Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
    await Promise.all(workers.map(retire));
    process.exit(code);
  }

  async function retire(worker: Worker): Promise<void> {
    serving.delete(worker);
    if (worker.isDead()) return;
    const exited = new Promise((resolve) => worker.once('exit', resolve));
    worker.process.kill('SIGTERM');
    const timer = setTimeout(() => worker.process.kill('SIGKILL'), DRAIN_MS);
    await exited;
    clearTimeout(timer);
  }
}

/** Whether `worker` comes to listen. */
const listens = (worker: Worker) =>
  new Promise<boolean>((resolve) => {
    worker.once('listening', () => resolve(true));
    worker.once('exit', () => resolve(false)).once('error', () => resolve(false));
  });
