import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { z } from 'zod';
import { parseRedisUrl } from './redis-url.ts';
import { parseTrustProxy } from './trust-proxy.ts';

export type Config = ReturnType<typeof readConfig>;

/** The environment is wrong: `message` names every wrong variable, one a line. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}

// What stands in a tutorial or in .env.example is no secret.
const EXAMPLE_SECRET = /^(change|replace|your)[-_ ]?(me|this|it|secret|the)|^example|keyboard cat/i;

const REQUIRED_IN_PRODUCTION = [
  ['SESSION_SECRET', 'it signs the cookie. Make one: openssl rand -base64 48'],
  ['TRUST_PROXY', 'how many proxies are in front (1), or their addresses (loopback), or none'],
] as const;

const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, 'must be a whole number')
    .transform(Number)
    .refine((n) => n >= min && n <= max, `must be from ${min} to ${max}`);

/** Minutes and hours may be fractions, so that a test or a demo can watch a session end. */
const positiveNumber = (max: number) =>
  z
    .string()
    .regex(/^\d{1,6}(\.\d{1,6})?$/, 'must be a number')
    .transform(Number)
    .refine((n) => n > 0 && n <= max, `must be above 0 and at most ${max}`);

const or = new Intl.ListFormat('en-GB', { type: 'disjunction' });
const oneOf = <const T extends readonly string[]>(...words: T) =>
  z.enum(words, `must be ${or.format(words)}`);

/** A transform by `parse`, which returns undefined for a bad value. */
const parsedBy =
  <T>(parse: (value: string) => T | undefined, message: string) =>
  (value: string, context: z.RefinementCtx<string>): T => {
    const parsed = parse(value);
    if (parsed === undefined) context.addIssue(message);
    return parsed as T; // an issue ends the parse
  };

const onOff = oneOf('on', 'off').transform((value) => value === 'on');

/**
 * Adds what `.env` in the working directory says, where the environment itself says nothing. (Node's
 * own way would take a byte order mark for a part of the first name.)
 * @throws ConfigError when it cannot be read, or is not UTF-8
 */
export function loadEnvFile(): void {
  if (!existsSync('.env')) return;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync('.env'));
    Object.assign(process.env, { ...parseEnv(text), ...process.env });
  } catch (error) {
    throw new ConfigError(`.env cannot be read: ${String(error)}`);
  }
}

/**
 * Reads the whole environment, once.
 * @throws ConfigError naming every wrong variable
 */
export function readConfig(env: Record<string, string | undefined>) {
  // An empty variable counts as absent: compose files and .env files leave them behind.
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const production = given.NODE_ENV === 'production';
  const usualStore = production ? 'redis' : 'memory';
  const schema = z.object({
    NODE_ENV: oneOf('development', 'production', 'test').default('development'),
    HOST: z.string().default('127.0.0.1'),
    PORT: wholeNumber(0, 65535).default(3000),
    SESSION_STORE: oneOf('memory', 'redis')
      .default(usualStore)
      .refine(
        (store) => !(production && store === 'memory'),
        'memory is refused in production: it is lost at each restart, grows with each visitor and is not shared by processes. Use redis',
      ),
    REDIS_URL: z
      .string()
      .default('redis://127.0.0.1:6379')
      .transform(
        parsedBy(
          parseRedisUrl,
          'must be redis://, rediss://, redis+cluster://host:port,host:port or redis+sentinel://host:port,host:port/master-name',
        ),
      ),
    SESSION_SECRET: z
      .string()
      .transform((value) => value.split(',').map((secret) => secret.trim()))
      .refine((secrets) => !secrets.includes(''), 'must not be empty')
      .refine(
        (secrets) => !production || secrets.every((secret) => secret.length >= 32),
        'must be 32 characters or more (each of them, if several are separated by commas)',
      )
      .refine(
        (secrets) => !production || !secrets.some((secret) => EXAMPLE_SECRET.test(secret)),
        'looks like an example. Make one: openssl rand -base64 48',
      )
      .optional(),
    SESSION_IDLE_MINUTES: positiveNumber(24 * 60).default(30),
    SESSION_ABSOLUTE_HOURS: positiveNumber(30 * 24).default(12),
    TRUST_PROXY: z
      .string()
      .default('none')
      .transform(
        parsedBy(
          parseTrustProxy,
          'must be a number of hops (1), addresses (loopback, 10.0.0.0/8) or none. true is refused: it would let every visitor forge an address',
        ),
      ),
    WEB_CONCURRENCY: wholeNumber(1, 64)
      .default(1)
      .refine(
        (workers) => workers === 1 || (given.SESSION_STORE ?? usualStore) !== 'memory',
        'above 1 is refused with SESSION_STORE=memory: each process would have sessions of its own. Use redis',
      ),
    METRICS_PORT: wholeNumber(1, 65535).optional(),
    DEMO_ACCOUNTS: onOff.default(!production),
    LAB: onOff.default(!production),
    LOG_LEVEL: oneOf('fatal', 'error', 'warn', 'info', 'debug', 'silent').default('info'),
  });

  const problems: string[] = [];
  const secretFile = given.SESSION_SECRET_FILE;
  if (secretFile) {
    try {
      given.SESSION_SECRET = readFileSync(secretFile, 'utf8').trim();
    } catch (error) {
      given.SESSION_SECRET = undefined;
      problems.push(`SESSION_SECRET_FILE cannot be read: ${String(error)}`);
    }
  }
  if (production) {
    for (const [name, reason] of REQUIRED_IN_PRODUCTION)
      if (!(name in given)) problems.push(`${name} is required in production: ${reason}`);
  }
  const { data, error } = schema.safeParse(given);
  for (const { path, message } of error?.issues ?? []) problems.push(`${path.join()} ${message}`);
  if (!data || problems.length > 0) throw new ConfigError(problems.join('\n'));

  const warnings: string[] = [];
  const { tls, nodes } = data.REDIS_URL;
  if (data.SESSION_STORE === 'redis' && !tls && !nodes.every(isLoopback))
    warnings.push(
      'REDIS_URL reaches another host without TLS: who listens on the way reads every session. Use rediss://',
    );

  return {
    production,
    /** What is allowed but unwise, for the log. */
    warnings,
    host: data.HOST,
    port: data.PORT,
    store: data.SESSION_STORE,
    redis: data.REDIS_URL,
    secrets: data.SESSION_SECRET ?? [randomBytes(32).toString('base64url')],
    idleMs: data.SESSION_IDLE_MINUTES * 60_000,
    absoluteMs: data.SESSION_ABSOLUTE_HOURS * 3_600_000,
    trustProxy: data.TRUST_PROXY,
    workers: data.WEB_CONCURRENCY,
    metricsPort: data.METRICS_PORT,
    demoAccounts: data.DEMO_ACCOUNTS,
    lab: data.LAB,
    logLevel: data.LOG_LEVEL,
    cookie: {
      // __Host-: browsers take it over HTTPS only, for this host only, so that no neighbouring
      // subdomain can plant one.
      name: production ? '__Host-sid' : 'sid',
      attributes: { path: '/', httpOnly: true, secure: production, sameSite: 'lax' },
    },
  } as const;
}

const isLoopback = ({ host }: { host: string }) =>
  host === 'localhost' || host === '::1' || host.startsWith('127.');
