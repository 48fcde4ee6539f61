import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { startChild } from './child.ts';
import { freePort } from './free-port.ts';
import { runServer, type StoreServer } from './running-server.ts';
import { tempDir } from './temp-dir.ts';

/**
 * A MariaDB in a temporary directory of its own. It waits for the disk only if an argument says so. It
 * has no tables of users, so it starts in half a second.
 */
export async function startMariadb(...args: string[]): Promise<StoreServer> {
  await using cleanup = new AsyncDisposableStack();
  const { path: dir } = cleanup.use(await tempDir('mariadb'));
  await mkdir(join(dir, 'shop'));
  const port = await freePort();
  const settings = [
    '--no-defaults',
    ...(process.getuid?.() === 0 ? ['--user=root'] : []),
    '--skip-grant-tables',
    `--datadir=${dir}`,
    `--socket=${join(dir, 'socket')}`,
    '--bind-address=127.0.0.1',
    `--port=${port}`,
    '--innodb-flush-log-at-trx-commit=2',
    '--innodb-log-file-size=4M',
    '--innodb-buffer-pool-size=16M',
    ...args,
  ];
  const start = () =>
    startChild('mariadbd', settings, {
      // Debian keeps it in /usr/sbin, which a normal user's PATH may lack.
      env: { PATH: `${process.env.PATH}:/usr/sbin` },
      ready: /ready for connections/,
      name: `mariadbd on ${port}`,
    });
  const server = cleanup.adopt(await runServer(start, 'SIGKILL'), ({ stop }) => stop());
  const running = cleanup.move();
  return {
    ...server,
    url: `mysql://root@127.0.0.1:${port}/shop`,
    stop: () => running.disposeAsync(),
  };
}
