import { startChild } from './child.ts';
import { run } from './run.ts';
import { type RunningServer, runServer } from './running-server.ts';
import { ramDisk, tempDir } from './temp-dir.ts';

/** After a restart it is empty, unless its arguments make it keep its data. */
export type RedisServer = RunningServer & {
  url: string;
  port: number;
  /** Runs redis-cli. Resolves to its output, and rejects on an error reply. */
  cli: (...args: string[]) => Promise<string>;
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
  // While the disk is slow, Redis delays what it appends, and SIGKILL would lose that.
  const { path: dir } = cleanup.use(await tempDir('redis', ramDisk));
  const args = await configure(dir);
  const start = () => startChild('redis-server', args, { ready, name: `redis-server on ${port}` });
  const server = cleanup.adopt(await runServer(start), ({ stop }) => stop());
  const running = cleanup.move();
  return {
    ...server,
    dir,
    url: `redis://127.0.0.1:${port}`,
    port,
    cli: (...words) =>
      run('redis-cli', ['-e', '-h', '127.0.0.1', '-p', `${port}`, ...cliArgs(dir), ...words]),
    stop: () => running.disposeAsync(),
  };
}
