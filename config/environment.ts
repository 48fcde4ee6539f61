import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import type { z } from 'zod';
import { similarName } from './similar-name.ts';
import { variablesFor } from './variables.ts';

export type Config = ReturnType<typeof readConfig>;

export class ConfigError extends Error {
  override name = 'ConfigError';
}

/** Unlike Node's `loadEnvFile`, it does not take a byte order mark as part of the first name. */
export function loadEnvFile(): void {
  if (!existsSync('.env')) return;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync('.env'));
    Object.assign(process.env, { ...parseEnv(text), ...process.env });
  } catch (error) {
    throw new ConfigError(`.env cannot be read: ${String(error)}`);
  }
}

/** @throws ConfigError naming every wrong variable */
export function readConfig(env: Record<string, string | undefined>) {
  // An empty variable counts as absent: compose and .env files often contain empty ones.
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  if (given.SESSION_SECRET_FILE) given.SESSION_SECRET = undefined;
  const warnings: string[] = [];
  if (given.METRICS_PORT?.startsWith('tcp://')) {
    warnings.push(
      `METRICS_PORT is ${JSON.stringify(given.METRICS_PORT)}, which Kubernetes sets for a service named metrics. It is ignored`,
    );
    given.METRICS_PORT = undefined;
  }
  const production = given.NODE_ENV === 'production';
  const variables = variablesFor(production, given);
  const { data, error } = variables.safeParse(given);
  if (!data) {
    const problems = error.issues.map(({ path, message }) => {
      const name = path.join();
      const value = SECRET.test(name) ? undefined : given[name];
      return `${name} ${message}${value === undefined ? '' : ` (now: ${JSON.stringify(value)})`}`;
    });
    throw new ConfigError(problems.join('\n'));
  }
  warnings.push(...risksOf(data));
  for (const name of Object.keys(given)) {
    const likely = similarName(name, Object.keys(variables.shape));
    if (likely) warnings.push(`${name} is not a setting. Did you mean ${likely}?`);
  }
  return {
    production,
    warnings,
    host: data.HOST,
    port: data.PORT,
    store: data.SESSION_STORE,
    redis: data.REDIS_URL,
    memcached: data.MEMCACHED_URL,
    database: data.DATABASE_URL,
    secrets: data.SESSION_SECRET_FILE ??
      data.SESSION_SECRET ?? [randomBytes(32).toString('base64url')],
    idleMs: data.SESSION_IDLE_MINUTES * 60_000,
    absoluteMs: data.SESSION_ABSOLUTE_HOURS * 3_600_000,
    deviceBound: data.DEVICE_BOUND,
    trustProxy: data.TRUST_PROXY,
    workers: data.WEB_CONCURRENCY,
    metricsPort: data.METRICS_PORT,
    tracesUrl: data.OTEL_EXPORTER_OTLP_ENDPOINT,
    demoAccounts: data.DEMO_ACCOUNTS,
    lab: data.LAB,
    logLevel: data.LOG_LEVEL,
    hsts: production && data.HSTS,
    cookie: {
      // __Host-: no other subdomain can set it.
      name: production ? '__Host-sid' : 'sid',
      attributes: { path: '/', httpOnly: true, secure: production, sameSite: 'lax' },
    },
  } as const;
}

/**
 * The configuration of a command that runs beside the server, perhaps where the shop's secrets are
 * missing.
 */
export function readCommandConfig() {
  loadEnvFile();
  const { NODE_ENV, DATABASE_URL, REDIS_URL, DEMO_ACCOUNTS } = process.env;
  const production = NODE_ENV === 'production';
  if (production && !DATABASE_URL) throw new ConfigError('DATABASE_URL is required in production');
  return readConfig({
    DATABASE_URL,
    REDIS_URL,
    DEMO_ACCOUNTS: DEMO_ACCOUNTS || (production ? 'off' : ''),
  });
}

function risksOf(data: z.infer<ReturnType<typeof variablesFor>>): string[] {
  const risks: string[] = [];
  const { tls, nodes } = data.REDIS_URL;
  if (data.SESSION_STORE === 'redis' && !tls && !nodes.every(isLoopback))
    risks.push(
      'REDIS_URL names another host without TLS, so anyone on the network path can read every session. Use rediss://',
    );
  const database = data.DATABASE_URL;
  if (database.kind !== 'sqlite' && !isLoopback(database) && !/[?&]ssl/.test(database.url))
    risks.push(
      'DATABASE_URL names another host without TLS, so anyone on the network path can read every account. Add ?sslmode=verify-full (PostgreSQL) or ?ssl={} (MySQL)',
    );
  if (data.SESSION_STORE === 'memcached')
    risks.push(
      'SESSION_STORE is memcached: visitors lose their sessions when it restarts, and when its memory is full',
    );
  return risks;
}

/** The values of these variables are never shown. */
const SECRET = /SECRET|_URL$|_ENDPOINT$/;

const isLoopback = ({ host }: { host: string }) =>
  host === 'localhost' || host === '::1' || host.startsWith('127.');
