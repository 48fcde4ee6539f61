import type { Child } from './child.ts';

/** A server that can fail in the ways that servers fail. */
export type RunningServer = {
  /** Sends SIGKILL. Resolves once the process is gone. */
  kill: () => Promise<void>;
  /** Kills the server and starts it again. */
  restart: () => Promise<void>;
  pause: () => void;
  resume: () => void;
  stop: () => Promise<void>;
};

/** A database or a cache. PostgreSQL takes a moment to pause, because it has many processes. */
export type StoreServer = Omit<RunningServer, 'pause'> & {
  url: string;
  pause: () => Promise<void> | void;
};

/** @param signal ends the server when the test is over */
export async function runServer(
  start: () => Promise<Child>,
  signal: NodeJS.Signals = 'SIGTERM',
): Promise<RunningServer> {
  let child = await start();
  const kill = async () => {
    child.kill('SIGKILL');
    await child.exited;
  };
  return {
    kill,
    restart: async () => {
      await kill();
      child = await start();
    },
    pause: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
    stop: async () => {
      await child.stop(signal);
    },
  };
}
