import assert from 'node:assert/strict';
import fs, { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { ConfigError, readConfig } from './environment.ts';
import { parseRedisUrl } from './redis-url.ts';

const SECRET = 'fbG2qYJmHnV1o8cXr5TzK0sWdLpEuAi3';
const PRODUCTION = {
  NODE_ENV: 'production',
  SESSION_SECRET: SECRET,
  TRUST_PROXY: '1',
  DATABASE_URL: 'sqlite:/shop.db',
};

const problems = (env: Record<string, string>): string => {
  try {
    readConfig(env);
    return '';
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message;
  }
};

it('needs no variables in development', () => {
  const config = readConfig({});
  assert.deepEqual(
    [config.host, config.port, config.store, config.trustProxy, config.demoAccounts],
    ['127.0.0.1', 3000, 'memory', false, true],
  );
  assert.deepEqual([config.idleMs, config.absoluteMs], [1_800_000, 43_200_000]);
  assert.deepEqual([config.workers, config.lab], [1, true]);
  assert.deepEqual(config.database, { kind: 'sqlite', path: '.data/shop.db' });
  assert.deepEqual([config.cookie.name, config.cookie.attributes.secure], ['sid', false]);
  assert.ok((config.secrets[0] ?? '').length >= 32);
  assert.notDeepEqual(config.secrets, readConfig({}).secrets);
});

it('chooses Redis, secure cookies, no demo accounts and no race lab in production', () => {
  const config = readConfig(PRODUCTION);
  assert.deepEqual([config.store, config.demoAccounts, config.lab], ['redis', false, false]);
  assert.equal(readConfig({ ...PRODUCTION, LAB: 'on' }).lab, true);
  assert.deepEqual([config.cookie.name, config.cookie.attributes.secure], ['__Host-sid', true]);
});

it('names every wrong variable at once', () => {
  const message = problems({
    NODE_ENV: 'production',
    PORT: '70000',
    SESSION_STORE: 'memory',
    REDIS_URL: 'http://localhost',
    SESSION_IDLE_MINUTES: 'soon',
    LOG_LEVEL: 'loud',
    WEB_CONCURRENCY: '2',
    DEMO_ACCOUNTS: 'yes',
    SESSION_ABSOLUTE_HOURS: '0',
  });
  const named = message.split('\n').map((line) => line.split(' ')[0]);
  assert.deepEqual(named.toSorted(), [
    'DATABASE_URL',
    'DEMO_ACCOUNTS',
    'LOG_LEVEL',
    'PORT',
    'REDIS_URL',
    'SESSION_ABSOLUTE_HOURS',
    'SESSION_IDLE_MINUTES',
    'SESSION_SECRET',
    'SESSION_STORE',
    'TRUST_PROXY',
    'WEB_CONCURRENCY',
  ]);
  assert.match(message, /SESSION_STORE must not be memory in production: it is lost/);
});

it('refuses a missing, short or example secret, and never prints it', () => {
  const easy = ['x'.repeat(32), 'ab'.repeat(20), `${SECRET},${'1234567'.repeat(5)}`];
  const wrong = [
    '',
    ',',
    'short',
    `${SECRET},short`,
    'change-me-change-me-change-me-change-me',
    ...easy,
  ];
  for (const SESSION_SECRET of wrong) {
    const message = problems({ ...PRODUCTION, SESSION_SECRET });
    assert.match(message, /^SESSION_SECRET /);
    assert.ok(SESSION_SECRET.length < 2 || !message.includes(SESSION_SECRET));
  }
});

it('reads several secrets, of which the first signs', () => {
  const rotated = readConfig({ ...PRODUCTION, SESSION_SECRET: `new-${SECRET}, old-${SECRET}` });
  assert.deepEqual(rotated.secrets, [`new-${SECRET}`, `old-${SECRET}`]);
});

it('reads the secret from SESSION_SECRET_FILE', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cloakroom-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const SESSION_SECRET_FILE = join(folder, 'secret');
  writeFileSync(SESSION_SECRET_FILE, `${SECRET}\n`);
  const { SESSION_SECRET: _, ...env } = PRODUCTION;
  assert.deepEqual(readConfig({ ...env, SESSION_SECRET_FILE }).secrets, [SECRET]);
  assert.match(problems({ ...env, SESSION_SECRET_FILE: `${folder}/no` }), /^SESSION_SECRET_FILE/);
});

it('accepts a number or addresses as TRUST_PROXY, but never everyone', () => {
  const read = (TRUST_PROXY: string) => readConfig({ TRUST_PROXY }).trustProxy;
  assert.equal(read('1'), 1);
  assert.equal(read('none'), false);
  assert.deepEqual(read('loopback, 10.0.0.0/8,::1'), ['loopback', '10.0.0.0/8', '::1']);
  for (const wrong of [
    'true',
    'yes',
    '-1',
    '1.5',
    '10.0.0.0/33',
    '10.0.0',
    '0.0.0.0/0',
    '::/0',
    '0.0.0.0/1',
    '::ffff:0:0/96',
    '0:0:0:0:0:ffff:0:0/96',
  ])
    assert.match(problems({ TRUST_PROXY: wrong }), /^TRUST_PROXY /, wrong);
});

it('accepts 1 to 64 workers, and several only on a shared store', () => {
  const read = (WEB_CONCURRENCY: string, SESSION_STORE = 'redis') =>
    readConfig({ WEB_CONCURRENCY, SESSION_STORE }).workers;
  assert.deepEqual([read('1'), read('64'), read('1', 'memory')], [1, 64, 1]);
  assert.equal(readConfig({ ...PRODUCTION, WEB_CONCURRENCY: '4' }).workers, 4);
  for (const WEB_CONCURRENCY of ['0', '65', '-1', '1.5', 'two', 'auto', ' 2'])
    assert.match(
      problems({ SESSION_STORE: 'redis', WEB_CONCURRENCY }),
      /^WEB_CONCURRENCY must be /,
    );
  for (const store of ['database', 'memcached']) assert.equal(read('2', store), 2);
  for (const SESSION_STORE of ['memory', ''])
    assert.match(
      problems({ SESSION_STORE, WEB_CONCURRENCY: '2' }),
      /^WEB_CONCURRENCY must be 1 with SESSION_STORE=memory/,
    );
});

it('accepts the URLs of a server, TLS, a cluster and a sentinel', () => {
  const good = [
    'redis://127.0.0.1:6379',
    'redis://:p%40ss@localhost:6379/2',
    'rediss://app:secret@redis.internal:6380',
    'redis+cluster://a:7000,b:7000,c:7000',
    'redis+sentinel://user:secret@a:26379,b:26379/cloakroom',
  ];
  for (const REDIS_URL of good)
    assert.deepEqual(readConfig({ REDIS_URL }).redis, parseRedisUrl(REDIS_URL));
  const wrong = [
    'localhost',
    'redis://a:1,b:2',
    'redis+sentinel://a:1',
    'redis+cluster://user:p@ss@a:1',
    'redis://:%zz@a',
    'redis://a/name',
    'redis+cluster://a:1/3',
    'redis://a:0',
  ];
  for (const REDIS_URL of wrong) assert.match(problems({ REDIS_URL }), /^REDIS_URL /, REDIS_URL);
});

it('warns about Redis on another host without TLS', () => {
  const warned = (REDIS_URL: string) =>
    readConfig({ ...PRODUCTION, REDIS_URL }).warnings.some((line) => line.includes('without TLS'));
  for (const url of ['redis://10.0.0.5:6379', 'redis+cluster://127.0.0.1:1,b:2'])
    assert.ok(warned(url));
  for (const url of ['redis://localhost', 'rediss://10.0.0.5', 'redis://[::1]:7'])
    assert.ok(!warned(url), url);
});

it('accepts a file, PostgreSQL and MySQL as the database, and says why it refuses others', () => {
  const read = (DATABASE_URL: string) => readConfig({ DATABASE_URL }).database;
  assert.deepEqual(read('sqlite:shop.db'), { kind: 'sqlite', path: 'shop.db' });
  for (const [scheme, kind] of [
    ['postgres', 'postgres'],
    ['postgresql', 'postgres'],
    ['mysql', 'mysql'],
  ] as const) {
    const url = `${scheme}://app:p%40ss@db.internal:5/shop?ssl=true`;
    assert.deepEqual(read(url), { kind, url, host: 'db.internal' });
  }
  const refused = (DATABASE_URL: string, env = {}) => problems({ ...env, DATABASE_URL });
  for (const url of ['shop.db', 'sqlite:', 'sqlite::memory:', 'postgres://a', 'redis://a/b'])
    assert.match(refused(url), /^DATABASE_URL must be sqlite:PATH, postgres:\/\//, url);
  assert.match(refused('sqlite:/no/where.db'), /names a file in "\/no", which cannot be opened/);
  assert.match(refused('sqlite:shop.db', PRODUCTION), /must name an absolute path/);
  assert.match(refused('', PRODUCTION), /^DATABASE_URL is required in production/);
  assert.match(refused('mysql://me:p/w@a/shop'), /percent-encode it/);
});

it('refuses a SQLite file on a network file system', (t) => {
  const fake = t.mock.method(fs, 'statfsSync', () => ({ type: 0x6969 }));
  syncBuiltinESMExports();
  const message = problems({ DATABASE_URL: 'sqlite:/mnt/shop.db' });
  fake.mock.restore();
  syncBuiltinESMExports();
  assert.match(
    message,
    /^DATABASE_URL is on a network file system \(NFS\), where SQLite loses data/,
  );
});

it('warns about a database on another host without TLS, and about Memcached', () => {
  const warnings = (env: object) => readConfig({ ...PRODUCTION, ...env }).warnings.join();
  assert.match(warnings({ DATABASE_URL: 'mysql://10.0.0.5/shop' }), /DATABASE_URL .* without TLS/);
  for (const url of ['postgres://localhost/shop', 'postgres://a/shop?sslmode=verify-full'])
    assert.equal(warnings({ DATABASE_URL: url }), '');
  assert.match(warnings({ SESSION_STORE: 'memcached' }), /lose their sessions when it restarts/);
});

it('treats an empty variable as absent', () => {
  assert.equal(readConfig({ PORT: '', SESSION_SECRET: '' }).port, 3000);
});

it('is described in full by .env.example', () => {
  const example = readFileSync(new URL('../.env.example', import.meta.url), 'utf8');
  const source = readFileSync(new URL('./variables.ts', import.meta.url), 'utf8');
  const names = [...source.matchAll(/^ {4}([A-Z_]{4,}):/gm)].map((match) => match[1] ?? '');
  assert.ok(names.length >= 11);
  for (const name of [...names, 'SESSION_SECRET_FILE'])
    assert.match(example, new RegExp(`^# ?${name}=`, 'm'), name);
});

it('says which value is wrong, but never a secret', () => {
  assert.equal(problems({ PORT: '70000' }), 'PORT must be from 0 to 65535 (now: "70000")');
  assert.equal(
    problems({ LOG_LEVEL: 'loud\n' }),
    'LOG_LEVEL must be fatal, error, warn, info, debug or silent (now: "loud\\n")',
  );
  assert.match(problems({ TRUST_PROXY: 'true' }), /\(now: "true"\)$/);
  for (const REDIS_URL of [
    'redis://:p@ss@a',
    'redis://:p/ss@a',
    'http://:pass@a',
    'redis://:%ss@a',
  ]) {
    assert.doesNotMatch(problems({ REDIS_URL }), /p.?a?ss@|%ss/);
    assert.doesNotMatch(problems({ DATABASE_URL: REDIS_URL }), /p.?a?ss@|%ss/);
  }
});

it('never shows a password in a malformed MEMCACHED_URL or OTEL_EXPORTER_OTLP_ENDPOINT', () => {
  assert.doesNotMatch(problems({ MEMCACHED_URL: 'memcached://me:hidden@a/b' }), /hidden/);
  assert.doesNotMatch(problems({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://me:hidden@a?b' }), /hidden/);
});

it('says that a password in DATABASE_URL must be percent-encoded', () => {
  assert.match(
    problems({ DATABASE_URL: 'postgres://me:p%zz@a/shop' }),
    /^DATABASE_URL has a user or password with @, \/ or %: percent-encode it/,
  );
});

it('says that a password in REDIS_URL must be percent-encoded', () => {
  const hint = /^REDIS_URL has a user or password with @, \/ or %: percent-encode it/;
  for (const password of ['p@ss', 'p/ss', '@', 'a/b@c', '100%', 'p%zz'])
    for (const url of [`redis://:${password}@a:1`, `rediss://me:${password}@a`])
      assert.match(problems({ REDIS_URL: url }), hint, url);
  assert.match(problems({ REDIS_URL: 'redis+sentinel://me:p/w@a:1/shop' }), hint);
  for (const url of ['redis://a/name', 'redis://a:0', 'http://me:p@ss@a'])
    assert.match(problems({ REDIS_URL: url }), /^REDIS_URL must be redis:\/\//, url);
});

it('ignores the METRICS_PORT that Kubernetes sets for a service, and says so', () => {
  const config = readConfig({ METRICS_PORT: 'tcp://10.3.4.5:9090' });
  assert.equal(config.metricsPort, undefined);
  assert.match(
    config.warnings.join(),
    /^METRICS_PORT is "tcp:\/\/10.3.4.5:9090", which Kubernetes/,
  );
  assert.deepEqual(readConfig({ METRICS_PORT: '9090' }).warnings, []);
  assert.match(problems({ METRICS_PORT: 'http://10.3.4.5:9090' }), /^METRICS_PORT /);
});

it('notices a misspelt variable, and names the likely one', () => {
  const warnings = (name: string) => readConfig({ [name]: 'x' }).warnings;
  const misspelt = {
    SESION_STORE: 'SESSION_STORE',
    SESSION_STROE: 'SESSION_STORE',
    SESSION_SECRETS: 'SESSION_SECRET',
    session_secret: 'SESSION_SECRET',
    REDIS_URI: 'REDIS_URL',
    TRUSTPROXY: 'TRUST_PROXY',
    PORTS: 'PORT',
  };
  for (const [name, known] of Object.entries(misspelt))
    assert.deepEqual(warnings(name), [`${name} is not a setting. Did you mean ${known}?`]);
  const others = ['HOME', 'PATH', 'LANG', 'TERM', 'SHELL', 'NODE', 'HOSTNAME', 'NODE_OPTIONS'];
  for (const name of [...others, 'TAB', 'POSTGRES_URL', 'SESSION_MANAGER', 'npm_config_cache'])
    assert.deepEqual(warnings(name), [], name);
  assert.deepEqual(readConfig({ SESION_STORE: '' }).warnings, []);
});

it('accepts HSTS in seconds, with or without subdomains, or off', () => {
  const read = (HSTS: string, env = PRODUCTION) => readConfig({ ...env, HSTS }).hsts;
  assert.deepEqual(read(''), { maxAge: 31_536_000, includeSubDomains: false });
  assert.deepEqual(read('300'), { maxAge: 300, includeSubDomains: false });
  assert.deepEqual(read('63072000,subdomains'), { maxAge: 63_072_000, includeSubDomains: true });
  // Browsers forget the host.
  assert.deepEqual(read('0'), { maxAge: 0, includeSubDomains: false });
  assert.equal(read('off'), false);
  for (const wrong of [
    'on',
    '-1',
    '1.5',
    '1y',
    '300,',
    '300,preload',
    'off,subdomains',
    '12345678901',
  ])
    assert.match(problems({ HSTS: wrong }), /^HSTS must be off or a number of seconds/, wrong);
});

it('never sends HSTS in development: the browser would refuse plain HTTP from then on', () => {
  assert.equal(readConfig({ HSTS: '300' }).hsts, false);
});

it('binds sessions to the browser in production, unless DEVICE_BOUND is off, and never over plain HTTP', () => {
  assert.equal(readConfig(PRODUCTION).deviceBound, true);
  assert.equal(readConfig({ ...PRODUCTION, DEVICE_BOUND: 'off' }).deviceBound, false);
  assert.equal(readConfig({}).deviceBound, false);
  assert.match(
    problems({ DEVICE_BOUND: 'on' }),
    /^DEVICE_BOUND must be off without NODE_ENV=production/,
  );
});
