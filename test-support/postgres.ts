import { globSync } from 'node:fs';
import { chown } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import pg from 'pg';
import { startChild } from './child.ts';
import { freePort } from './free-port.ts';
import { run } from './run.ts';
import { runServer, type StoreServer } from './running-server.ts';
import { tempDir } from './temp-dir.ts';

/** PostgreSQL refuses to run as root, so if the tests do, it runs as the user `nobody`. */
const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
/** Debian and Homebrew keep its programs outside the PATH. */
const places =
  '{/usr/lib/postgresql/*,/opt/homebrew/opt/postgresql@*,/usr/local/opt/postgresql@*}/bin';
export const postgresPath = [process.env.PATH, ...globSync(places)].join(delimiter);

/** A PostgreSQL in a temporary directory of its own. It waits for the disk only if a setting says so. */
export async function startPostgres(...settings: string[]): Promise<StoreServer> {
  await using cleanup = new AsyncDisposableStack();
  const { path: dir } = cleanup.use(await tempDir('postgres'));
  if (user.uid) await chown(dir, user.uid, user.gid);
  const data = join(dir, 'data');
  const options = { cwd: dir, env: { ...process.env, PATH: postgresPath }, ...user };
  const init = '--encoding=UTF8 --no-locale --auth=trust --username=cloakroom --no-sync';
  await run('initdb', ['-D', data, ...init.split(' ')], options);

  const port = await freePort();
  const url = `postgres://cloakroom@127.0.0.1:${port}/postgres`;
  const args = `-p ${port} -c listen_addresses=127.0.0.1 -c fsync=off -c unix_socket_directories=`;
  const start = () =>
    startChild(
      'postgres',
      ['-D', data, ...args.split(' '), ...settings.flatMap((each) => ['-c', each])],
      {
        ...options,
        ready: /ready to accept connections/,
        name: `postgres on ${port}`,
      },
    );
  const server = cleanup.adopt(await runServer(start, 'SIGQUIT'), ({ stop }) => stop());
  let processes: number[] = [];
  const signalProcesses = (signal: NodeJS.Signals) => {
    for (const pid of processes) {
      try {
        process.kill(pid, signal);
      } catch {
        // It has ended since: an autovacuum, for example.
      }
    }
  };
  const running = cleanup.move();
  return {
    ...server,
    url,
    pause: async () => {
      processes = await processesOf(url);
      server.pause();
      signalProcesses('SIGSTOP');
    },
    resume: () => {
      signalProcesses('SIGCONT');
      processes = [];
      server.resume();
    },
    stop: () => running.disposeAsync(),
  };
}

/** It has a process for each connection, and some of its own. */
async function processesOf(url: string): Promise<number[]> {
  const client = new pg.Client(url);
  await client.connect();
  const { rows } = await client.query<{ pid: number }>(
    'select pid from pg_stat_activity where pid <> pg_backend_pid()',
  );
  await client.end();
  return rows.map(({ pid }) => pid);
}
