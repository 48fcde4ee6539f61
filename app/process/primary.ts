import cluster, { type Worker } from 'node:cluster';
import type { Logger } from 'pino';

/** cut: it was replaced, and had not responded to all requests in time. */
export type WorkerEvent = 'died' | 'cut' | 'start-failed';

type PrimaryOptions = {
  count: number;
  /** Set in each worker, in addition to this process's environment. */
  env: Record<string, string>;
  log: Logger;
  onEvent?: ((event: WorkerEvent) => void) | undefined;
};

// A worker that lives for less than this counts as having died at once, which doubles the wait
// before the next one.
const STEADY_MS = 5_000;
const MIN_WAIT_MS = 100;
const MAX_WAIT_MS = 30_000;
// SIGKILL ends a worker that takes longer.
const START_MS = 30_000;
const DRAIN_MS = 9_000;

// By default, V8 lets a heap grow to several times what lives in it, and glibc keeps much of what was
// freed. With these settings, a worker needs about a third less memory. The space for new objects is then
// so small that collecting it in parallel would be slower.
const SMALL_HEAP = [
  '--max-semi-space-size=8',
  '--heap-growing-percent=100',
  '--no-parallel-scavenge',
];
const SMALL_MALLOC = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '131072' };

/** @param env set in the worker, in addition to this process's environment */
export function forkWorker(env: Record<string, string>): Worker {
  cluster.setupPrimary({ execArgv: [...process.execArgv, ...SMALL_HEAP] });
  return cluster.fork({ ...SMALL_MALLOC, ...process.env, ...env });
}

/**
 * Makes this process the primary of `count` workers, and replaces a worker that dies. SIGHUP
 * replaces all, one at a time, with workers that run the code now on disk: each old worker drains
 * once its successor is listening, and stays if the successor does not start. SIGTERM and SIGINT
 * drain all workers and exit with 0 within 10 s.
 */
export function runPrimary({ count, env, log, onEvent = () => {} }: PrimaryOptions): void {
  // Oldest first. It leaves out workers that are draining, and successors that are not listening yet.
  const serving = new Set<Worker>();
  let everListened = false;
  let deathsAtOnce = 0;
  let rolling = false;
  let rollAgain = false;
  let stopping = false;

  cluster.schedulingPolicy = cluster.SCHED_RR;
  cluster.once('listening', () => {
    everListened = true;
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(0));
  process.on('SIGHUP', () => void roll());
  for (let n = 0; n < count; n++) serving.add(fork());

  function fork(): Worker {
    const worker = forkWorker(env);
    const forked = performance.now();
    const tooLong = setTimeout(() => worker.process.kill('SIGKILL'), START_MS);
    worker.once('listening', () => clearTimeout(tooLong));
    const replace = (reason: object) => {
      clearTimeout(tooLong);
      if (stopping || !serving.delete(worker)) return;
      if (!everListened) {
        log.fatal({ worker: worker.process.pid, ...reason }, 'A worker could not start');
        return void stop(1);
      }
      const atOnce = performance.now() - forked < STEADY_MS;
      const waitMs = atOnce ? Math.min(MIN_WAIT_MS * 2 ** deathsAtOnce, MAX_WAIT_MS) : 0;
      deathsAtOnce = atOnce ? deathsAtOnce + 1 : 0;
      log.error({ worker: worker.process.pid, ...reason, waitMs }, 'A worker died');
      onEvent('died');
      setTimeout(() => {
        if (serving.size < count && !stopping) serving.add(fork());
      }, waitMs);
    };
    worker.once('exit', (code, signal) => replace({ code, signal }));
    worker.on('error', (err) => replace({ err }));
    return worker;
  }

  async function roll(): Promise<void> {
    rollAgain = rolling;
    if (rolling || stopping) return;
    rolling = true;
    deathsAtOnce = 0; // the new code may be better
    const old = new Set(serving);
    log.info({ workers: count }, 'Replacing the workers');
    const unfinished = () => !stopping && (serving.size < count || !old.isDisjointFrom(serving));
    let failure: object | undefined;
    while (unfinished()) {
      const successor = fork();
      failure = await startFailure(successor);
      if (failure) break;
      serving.add(successor);
      const [oldest] = serving;
      if (oldest && serving.size > count) void retire(oldest);
    }
    rolling = false;
    if (stopping) return;
    if (failure) {
      log.error(failure, 'A new worker did not start: the old workers keep running');
      onEvent('start-failed');
    } else log.info('All workers were replaced');
    if (rollAgain) void roll();
  }

  async function stop(code: number): Promise<void> {
    if (stopping) return;
    stopping = true;
    log.info('Shutting down');
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
    if (worker.process.exitCode !== 0) onEvent('cut');
  }
}

/** Resolves to undefined once it listens, or to what the log should say. */
const startFailure = (worker: Worker) =>
  new Promise<object | undefined>((resolve) => {
    worker.once('listening', () => resolve(undefined));
    worker.once('exit', (code, signal) => resolve({ code, signal }));
    worker.once('error', (err) => resolve({ err }));
  });
