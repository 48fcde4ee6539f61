import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { DEVELOPMENT_DATABASE, parseDatabaseUrl, problemOfSqlite } from './database-url.ts';
import { parseRedisUrl } from './redis-url.ts';
import { parseTrustProxy } from './trust-proxy.ts';

/** What each environment variable may be, and what it is if it is absent. */
export function variablesFor(production: boolean, given: Record<string, string | undefined>) {
  const usualStore = production ? 'redis' : 'memory';
  return z.object({
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
    DATABASE_URL: production
      ? databaseUrl(true)
      : databaseUrl(false).prefault(DEVELOPMENT_DATABASE),
    SESSION_SECRET:
      production && !given.SESSION_SECRET_FILE ? secrets(true) : secrets(production).optional(),
    SESSION_SECRET_FILE: z.string().transform(readText).pipe(secrets(production)).optional(),
    SESSION_IDLE_MINUTES: positiveNumber(24 * 60).default(30),
    SESSION_ABSOLUTE_HOURS: positiveNumber(30 * 24).default(12),
    TRUST_PROXY: production ? trustProxy() : trustProxy().default(false),
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
}

const secrets = (production: boolean) =>
  required('it signs the cookie. Generate one: openssl rand -base64 48')
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

const trustProxy = () =>
  required(
    'the number of proxies in front of the app (1), their addresses (loopback), or none',
  ).transform(
    parsedBy(
      parseTrustProxy,
      'must be the number of proxies (1), their addresses (loopback, 10.0.0.0/8) or none. true is refused because it lets every visitor forge an address',
    ),
  );

const databaseUrl = (production: boolean) =>
  required(
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
  z.enum(words, `must be ${words.slice(0, -1).join(', ')} or ${words.at(-1)}`);

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
