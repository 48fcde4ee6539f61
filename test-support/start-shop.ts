import { Writable } from 'node:stream';
import bcrypt from 'bcrypt';
import { type AppOptions, createApp } from '../app/app.ts';
import { createLog } from '../app/observe/log.ts';
import { type Backend, memoryBackend } from '../app/session/index.ts';
import { demoAccounts, demoProducts } from '../config/demo-data.ts';
import { readConfig } from '../config/environment.ts';
import { type HttpClient, httpClient } from './http-client.ts';
import { listen } from './listen.ts';

export const ADA = { email: 'ada@cloakroom.test', password: 'analytical-engine' };
export const GRACE = { email: 'grace@cloakroom.test', password: 'nanosecond-wire' };

// Hashing is almost free, unless a test asks for REAL_PASSWORDS.
export const HASH_COST = 4;
export const REAL_PASSWORDS = { hashCost: 12, demoAccounts };
const cheapAccounts = demoAccounts.map((account) => ({
  ...account,
  passwordHash: bcrypt.hashSync(account.password, HASH_COST),
}));

export type Shop = {
  origin: string;
  port: number;
  /** A new visitor with its own cookie. It gets JSON by default, or a page with `PAGE`. */
  visitor(): HttpClient;
  /** The log lines so far. */
  log: string[];
  close(): Promise<void>;
};

/** Options of `visitor` requests that ask for a page, as a browser does. */
export const PAGE = { headers: { accept: 'text/html' } };

/** The whole app in this process on a free port, with the demo's data. */
export async function startShop(...args: Parameters<typeof createShop>): Promise<Shop> {
  const { app, lines } = createShop(...args);
  const { origin, port, close } = await listen(app);
  return { origin, port, close, log: lines, visitor: () => httpClient(origin) };
}

/** How long a store may take for an answer: a slow machine is no outage. */
export const PATIENCE_MS = 20_000;
type ShopOptions = Partial<AppOptions> & { answerWithinMs?: number };

/** The app alone, and the lines that it logs. */
export function createShop(
  backend: Backend,
  { answerWithinMs = PATIENCE_MS, ...options }: ShopOptions = {},
  env: Record<string, string> = {},
) {
  const unused = { SESSION_SECRET: 'only-for-tests-'.repeat(4), DATABASE_URL: 'sqlite:/unused.db' };
  const config = readConfig({ ...unused, ...env });
  const lines: string[] = [];
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines.push(...String(chunk).trim().split('\n'));
      done();
    },
  });
  const app = createApp({
    production: config.production,
    trustProxy: config.trustProxy,
    log: createLog('info', sink),
    hsts: config.hsts,
    session: { ...config, backend, answerWithinMs },
    checks: { 'session store': () => backend.get('nothing') },
    documents: memoryBackend(),
    demoAccounts: cheapAccounts,
    hashCost: HASH_COST,
    products: demoProducts,
    ...options,
  });
  return { app, lines };
}
