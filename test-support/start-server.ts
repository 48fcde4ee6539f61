import { join, resolve } from 'node:path';
import { type Child, startChild } from './child.ts';
import { freePort } from './free-port.ts';
import { tempDatabase } from './temp-dir.ts';

export type AppServer = Omit<Child, 'stop'> & {
  origin: string;
  port: number;
  stop(): Promise<unknown>;
};

const root = resolve(import.meta.dirname, '..');

/** Environment for a process of the app. It makes password hashing almost free. */
export const cheapPasswords = {
  NODE_OPTIONS: `--import=${import.meta.resolve('./cheap-passwords.ts')}`,
};

/**
 * Starts `app/server.ts` in its own process, on a free port, with a database of its own. `env` is added
 * to the environment.
 * @param script for a shell, which starts it another way: `exec "$0" app/server.ts`
 */
export async function startServer(
  env: Record<string, string>,
  cwd = root,
  script?: string,
): Promise<AppServer> {
  const port = await freePort();
  const database = await tempDatabase();
  const [command, ...args] = script
    ? ['sh', '-c', script, process.execPath]
    : [process.execPath, 'app/server.ts'];
  const isOpen = async () => (await fetch(`http://127.0.0.1:${port}/livez`)).ok;
  const child = await startChild(command, args, {
    cwd,
    env: {
      NODE_ENV: 'development',
      PORT: String(port),
      DATABASE_URL: database.url,
      NODE_COMPILE_CACHE: join(cwd, 'node_modules/.cache/compile'),
      ...cheapPasswords,
      ...env,
    },
    ready: script ? isOpen : /Cloakroom is open/,
    name: 'app/server.ts',
  });
  return {
    ...child,
    origin: `http://127.0.0.1:${port}`,
    port,
    stop: async () => {
      const code = await child.stop();
      await database.stop();
      return code;
    },
  };
}

/**
 * Two processes that share the sessions in one Redis, and a database, which lasts until this process
 * ends.
 */
export async function startTwoServers(redisUrl: string, env: Record<string, string> = {}) {
  const database = await tempDatabase();
  const shared = {
    SESSION_STORE: 'redis',
    REDIS_URL: redisUrl,
    DATABASE_URL: database.url,
    SESSION_SECRET: 'f3Xw9Lq2Vb7Nc5Zk8Hs4Jd6Gt1Ry0PmU',
    ...env,
  };
  return Promise.all([startServer(shared), startServer(shared)]);
}
