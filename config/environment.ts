import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { z } from 'zod';
import { DEVELOPMENT_DATABASE, parseDatabaseUrl, problemOfSqlite } from './database-url.ts';
import { parseRedisUrl } from './redis-url.ts';
import { similarName } from './similar-name.ts';
import { parseTrustProxy } from './trust-proxy.ts';

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
  const usualStore = production ? 'redis' : 'memory';
  const secrets = required('it signs the cookie. Generate one: openssl rand -base64 48')
    .transform((value) => value.split(',').map((secret) => secret.trim()))
    .refine((list) => !list.includes(''), 'must not contain an empty secret')
    .refine(
      (list) => !production || list.every((secret) => secret.length >= 32),
      'must have at least 32 characters. If there are several secrets, separated by commas, each must',
    )
    .refine(
      (list) => !production || list.every((secret) => new Set(secret).size >= 8),
      'has too few different characters. Generate one: openssl rand -base64 48',
    )
    .refine(
      (list) => !production || !list.some((secret) => EXAMPLE_SECRET.test(secret)),
      'looks like an example. Generate one: openssl rand -base64 48',
    );
  const trustProxy = required(
    'the number of proxies in front of the app (1), their addresses (loopback), or none',
  ).transform(
    parsedBy(
      parseTrustProxy,
      'must be the number of proxies (1), their addresses (loopback, 10.0.0.0/8) or none. true is refused because it lets every visitor forge an address',
    ),
  );
  const databaseUrl = required(
    'accounts, carts and orders live there, for example in sqlite:/var/lib/cloakroom/shop.db',
  )
    .transform(
      parsedBy(
        parseDatabaseUrl,
        'must be sqlite:PATH, postgres://host/database or mysql://host/database',
      ),
    )
    .superRefine((target, context) => {
      const problem =
        target.kind === 'sqlite' ? problemOfSqlite(target.path, production) : undefined;
      if (problem) context.addIssue(problem);
    });
  const schema = z.object({
    NODE_ENV: oneOf('development', 'production', 'test').default('development'),
    HOST: z.string().default('127.0.0.1'),
    PORT: wholeNumber(0, 65535).default(3000),
    SESSION_STORE: oneOf('memory', 'redis', 'memcached', 'database')
      .default(usualStore)
      .refine(
        (store) => !(production && store === 'memory'),
        'must not be memory in production: it is lost at each restart, it grows with each visitor, and processes cannot share it. Use redis, database or memcached',
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
    MEMCACHED_URL: z
      .string()
      .default('memcached://127.0.0.1:11211')
      .refine(isMemcachedUrl, 'must be memcached://host:port'),
    DATABASE_URL: production ? databaseUrl : databaseUrl.prefault(DEVELOPMENT_DATABASE),
    SESSION_SECRET: production && !given.SESSION_SECRET_FILE ? secrets : secrets.optional(),
    SESSION_SECRET_FILE: z.string().transform(readText).pipe(secrets).optional(),
    SESSION_IDLE_MINUTES: positiveNumber(24 * 60).default(30),
    SESSION_ABSOLUTE_HOURS: positiveNumber(30 * 24).default(12),
    TRUST_PROXY: production ? trustProxy : trustProxy.default(false),
    WEB_CONCURRENCY: wholeNumber(1, 64)
      .default(1)
      .refine(
        (workers) => workers === 1 || (given.SESSION_STORE ?? usualStore) !== 'memory',
        'must be 1 with SESSION_STORE=memory: each process would have its own sessions. For more, use redis, database or memcached',
      ),
    DEVICE_BOUND: onOrOff()
      .default(production)
      .refine(
        (on) => production || !on,
        'must be off without NODE_ENV=production: browsers bind a session over HTTPS only',
      ),
    METRICS_PORT: wholeNumber(1, 65535).optional(),
    OTEL_EXPORTER_OTLP_ENDPOINT: z
      .string()
      .regex(/^https?:\/\/[^/?#]+(\/[^?#]*)?$/, 'must be http://host:port or https://host:port')
      .transform((url) => url.replace(/\/$/, ''))
      .optional(),
    HSTS: z
      .string()
      .regex(
        /^(off|\d{1,10}(,subdomains)?)$/,
        'must be off or a number of seconds, such as 31536000 or 31536000,subdomains',
      )
      .default('31536000')
      .transform(hstsOf),
    DEMO_ACCOUNTS: onOrOff().default(!production),
    LAB: onOrOff().default(!production),
    LOG_LEVEL: oneOf('fatal', 'error', 'warn', 'info', 'debug', 'silent').default('info'),
  });
  const { data, error } = schema.safeParse(given);
  if (!data) {
    const problems = error.issues.map(({ path, message }) => {
      const name = path.join();
      const value = SECRET.test(name) ? undefined : given[name];
      return `${name} ${message}${value === undefined ? '' : ` (now: ${JSON.stringify(value)})`}`;
    });
    throw new ConfigError(problems.join('\n'));
  }

  const { tls, nodes } = data.REDIS_URL;
  if (data.SESSION_STORE === 'redis' && !tls && !nodes.every(isLoopback))
    warnings.push(
      'REDIS_URL names another host without TLS, so anyone on the network path can read every session. Use rediss://',
    );
  const database = data.DATABASE_URL;
  if (database.kind !== 'sqlite' && !isLoopback(database) && !/[?&]ssl/.test(database.url))
    warnings.push(
      'DATABASE_URL names another host without TLS, so anyone on the network path can read every account. Add ?sslmode=verify-full (PostgreSQL) or ?ssl={} (MySQL)',
    );
  if (data.SESSION_STORE === 'memcached')
    warnings.push(
      'SESSION_STORE is memcached: visitors lose their sessions when it restarts, and when its memory is full',
    );
  const names = Object.keys(schema.shape);
  for (const name of Object.keys(given)) {
    const likely = similarName(name, names);
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
    database,
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

/** The values of these variables are never shown. */
const SECRET = /SECRET|_URL$|_ENDPOINT$/;

/** A URL whose user or password may need percent-encoding. */
const UNENCODED = /^(redis|postgres|mysql)[\w+]*:\/\/.*[@/%].*@/;
const HINT_TO_ENCODE =
  'has a user or password with @, / or %: percent-encode it (@ is %40, / is %2F, % is %25)';

const EXAMPLE_SECRET = /^(change|replace|your)[-_ ]?(me|this|it|secret|the)|^example|keyboard cat/i;

const required = (reason: string) => z.string(`is required in production: ${reason}`);

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
    .refine((n) => n > 0 && n <= max, `must be greater than 0 and at most ${max}`);

const oneOf = <const T extends readonly string[]>(...words: T) =>
  z.enum(words, {
    error: () => {
      const or = new Intl.ListFormat('en-GB', { type: 'disjunction' });
      return `must be ${or.format(words)}`;
    },
  });

const onOrOff = () => oneOf('on', 'off').transform((value) => value === 'on');

/** @param parse throws unless the value is as `rule` says */
const parsedBy =
  <T>(parse: (value: string) => T, rule: string) =>
  (value: string, context: z.RefinementCtx<string>): T => {
    try {
      return parse(value);
    } catch {
      context.addIssue(UNENCODED.test(value) ? HINT_TO_ENCODE : rule);
      return z.NEVER;
    }
  };

const hstsOf = (value: string) =>
  value !== 'off' && {
    maxAge: Number.parseInt(value, 10),
    includeSubDomains: value.endsWith(',subdomains'),
  };

function readText(file: string, context: z.RefinementCtx<string>): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    context.addIssue(`cannot be read: ${String(error)}`);
    return z.NEVER;
  }
}

const isMemcachedUrl = (url: string) => /^memcached:\/\/[^/@,]+\/?$/.test(url) && URL.canParse(url);

const isLoopback = ({ host }: { host: string }) =>
  host === 'localhost' || host === '::1' || host.startsWith('127.');
