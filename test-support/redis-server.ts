import { startChild } from './child.ts';
import { run } from './run.ts';
import { tempDir } from './temp-dir.ts';

export type RedisServer = {
  url: string;
  port: number;
  /** Runs redis-cli. Resolves to its output, and rejects on an error reply. */
  cli: (...args: string[]) => Promise<string>;
  /** Sends SIGKILL. Resolves once the process is gone. */
  kill: () => Promise<void>;
  /**
   * Kills the server and starts it again. It is then empty, unless its arguments make it keep its
   * data.
   */
  restart: () => Promise<void>;
  pause: () => void;
  resume: () => void;
  stop: () => Promise<void>;
};

const ready = /Ready to accept connections|Sentinel ID is/;

/**
 * Starts redis-server in its own temporary directory, with the arguments that `configure` returns.
 */
export async function serve(
  port: number,
  configure: (dir: string) => string[] | Promise<string[]>,
  cliArgs: (dir: string) => string[] = () => [],
): Promise<RedisServer & { dir: string }> {
  await using cleanup = new AsyncDisposableStack();
  const { path: dir } = cleanup.use(await tempDir('redis'));
  const args = await configure(dir);
  const start = () => startChild('redis-server', args, { ready, name: `redis-server on ${port}` });
  let child = await start();
  cleanup.defer(async () => {
    await child.stop();
  });
  const kill = async () => {
    child.kill('SIGKILL');
    await child.exited;
  };
  const running = cleanup.move();
  return {
    dir,
    url: `redis://127.0.0.1:${port}`,
    port,
    cli: (...words) =>
      run('redis-cli', ['-e', '-h', '127.0.0.1', '-p', `${port}`, ...cliArgs(dir), ...words]),
    kill,
    restart: async () => {
      await kill();
      child = await start();
    },
    pause: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
    stop: () => running.disposeAsync(),
  };
}
