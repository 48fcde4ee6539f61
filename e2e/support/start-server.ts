import { resolve } from 'node:path';
import { startChild } from './child.ts';
import { freePort } from './free-port.ts';

export type AppServer = {
  origin: string;
  port: number;
  output(): string;
  stop(): Promise<unknown>;
};

/** `app/server.ts` as a process of its own, on a free port, with nothing but `env` set. */
export async function startServer(env: Record<string, string>): Promise<AppServer> {
  const port = await freePort();
  const child = await startChild(process.execPath, ['app/server.ts'], {
    cwd: resolve(import.meta.dirname, '../..'),
    env: { NODE_ENV: 'development', PORT: String(port), ...env },
    ready: /Cloakroom is open/,
    name: 'app/server.ts',
  });
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    output: () => child.output(),
    stop: () => child.stop(),
  };
}

/** Two processes that share the sessions in one Redis, as in production. */
export const startTwoServers = (redisUrl: string, env: Record<string, string> = {}) =>
  Promise.all(
    [1, 2].map(() =>
      startServer({
        SESSION_STORE: 'redis',
        REDIS_URL: redisUrl,
        SESSION_SECRET: 'f3Xw9Lq2Vb7Nc5Zk8Hs4Jd6Gt1Ry0PmU',
        ...env,
      }),
    ),
  );
