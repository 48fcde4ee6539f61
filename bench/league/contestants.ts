import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { RedisStore } from 'connect-redis';
import type { RequestHandler } from 'express';
import expressSession, { MemoryStore, type Store } from 'express-session';
import { MemcacheClient } from 'memcache-client';
import { createPool, type RowDataPacket } from 'mysql2/promise';
import pg from 'pg';
import { createClient } from 'redis';
import { z } from 'zod';
import {
  type Backend,
  dropInStore,
  endSession,
  memcachedBackend,
  memoryBackend,
  mysqlBackend,
  postgresBackend,
  redisBackend,
  sessionMiddleware,
  sqliteBackend,
  updateSession,
} from '../../app/session/index.ts';
import { startMariadb } from '../../test-support/mariadb.ts';
import { startMemcached } from '../../test-support/memcached.ts';
import { startPostgres } from '../../test-support/postgres.ts';
import { startRedis } from '../../test-support/redis.ts';
import { tempDir } from '../../test-support/temp-dir.ts';
import { assigning, type Loose, type Style } from './app.ts';

type Running = {
  session: RequestHandler | RequestHandler[];
  style?: Style;
  /** Makes the store refuse writes, and accept them again. Undefined if it never refuses. */
  refuse?: () => Promise<unknown>;
  accept?: () => Promise<unknown>;
  /** How many records the store holds. Undefined if the browser holds the session. */
  count?: () => Promise<number>;
  /** Where another process finds the store. Undefined if no other process can use it. */
  url?: string;
  /** Undefined for the stores of other packages. */
  backend?: Backend;
  /** Stores `text` in `count` records. If undefined, `backend` stores them. */
  fill?: (count: number, text: string) => Promise<unknown>;
};
export type Contestant = {
  name: string;
  /** The package whose version the table shows. Undefined for this repository. */
  package?: string;
  /** Whether the browser holds the whole session. */
  inCookie?: true;
  /** How often it deletes expired records, with the options of its documentation. */
  sweeps?: string;
  /** Whether its server is stopped instead of refusing writes. */
  stopped?: true;
  /**
   * @param maxAgeMs how long a session lives
   * @param url the store that another process has started. Default: it starts its own
   */
  start(stack: AsyncDisposableStack, maxAgeMs: number, url?: string): Promise<Running>;
};

const require = createRequire(import.meta.url);
const load = (name: string): Loose => require(name);
const secret = 'A long, random secret, as of 2026.';
const DAY_MS = 24 * 3_600_000;

function plain(store: Store, maxAge: number): RequestHandler {
  return expressSession({
    store,
    secret,
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge },
  });
}

// Each package as its documentation sets it up, with the options that it recommends.
const ofOthers: Contestant[] = [
  {
    name: 'MemoryStore',
    package: 'express-session',
    start: async (_stack, maxAge) => {
      const store = new MemoryStore();
      // `sessions` is private. Its `length` looks at each session, which deletes expired ones.
      const { sessions } = store as Loose;
      return { session: plain(store, maxAge), count: async () => Object.keys(sessions).length };
    },
  },
  {
    name: 'memorystore',
    package: 'memorystore',
    sweeps: 'every day',
    start: async (stack, maxAge) => {
      const store = new (load('memorystore')(expressSession))({ checkPeriod: DAY_MS });
      stack.defer(() => store.stopInterval());
      return { session: plain(store, maxAge), count: async () => store.store.length };
    },
  },
  {
    name: 'session-file-store',
    package: 'session-file-store',
    sweeps: 'every hour',
    start: async (stack, maxAge) => {
      const { path } = stack.use(await tempDir('league'));
      const folder = join(path, 'sessions');
      await mkdir(folder);
      const store = new (load('session-file-store')(expressSession))({ path: folder, logFn() {} });
      stack.defer(() => clearInterval(store.options.reapIntervalObject));
      return {
        session: plain(store, maxAge),
        count: async () => (await readdir(folder)).length,
        refuse: async () => {
          await rm(folder, { recursive: true });
          await writeFile(folder, '');
        },
        accept: async () => {
          await rm(folder);
          await mkdir(folder);
        },
      };
    },
  },
  {
    name: 'better-sqlite3-session-store',
    package: 'better-sqlite3-session-store',
    sweeps: 'every 15 minutes',
    start: async (stack, maxAge, url) => {
      const file = url ?? join(stack.use(await tempDir('league')).path, 'sessions.db');
      const client = new (load('better-sqlite3'))(file);
      client.pragma('journal_mode = WAL');
      const expired = { clear: true, intervalMs: 900_000 };
      const store = new (load('better-sqlite3-session-store')(expressSession))({ client, expired });
      stack.defer(() => client.close());
      return {
        url: file,
        session: plain(store, maxAge),
        count: async () => client.prepare('select count(*) n from sessions').get().n,
        refuse: async () => client.exec(sqliteTrigger('sessions')),
        accept: async () => client.exec('drop trigger refuse_insert; drop trigger refuse_update'),
      };
    },
  },
  {
    name: 'connect-redis',
    package: 'connect-redis',
    start: async (stack, maxAge, url) => {
      const redis = await startLeagueRedis(stack, url);
      return { ...redis, session: plain(new RedisStore({ client: redis.client }), maxAge) };
    },
  },
  {
    name: 'connect-pg-simple',
    package: 'connect-pg-simple',
    sweeps: 'every 7.5 to 22.5 minutes',
    start: async (stack, maxAge, url) => {
      const { pool, ...postgres } = await startLeaguePostgres(stack, 'session', url);
      const options = { pool, createTableIfMissing: true };
      const store = new (load('connect-pg-simple')(expressSession))(options);
      stack.defer(() => store.close());
      return { ...postgres, session: plain(store, maxAge) };
    },
  },
  {
    name: 'express-mysql-session',
    package: 'express-mysql-session',
    sweeps: 'every 15 minutes',
    start: async (stack, maxAge, url) => {
      const { pool, ...mysql } = await startLeagueMysql(stack, 'sessions', url);
      const store = new (load('express-mysql-session')(expressSession))({}, pool);
      await store.onReady();
      stack.defer(() => store.close());
      return { ...mysql, session: plain(store, maxAge) };
    },
  },
  {
    name: 'connect-memcached',
    package: 'connect-memcached',
    stopped: true,
    start: async (stack, maxAge, at) => {
      const { url, ...failing } = await startLeagueMemcached(stack, at);
      const hosts = [new URL(url).host];
      const store = new (load('connect-memcached')(expressSession))({ hosts });
      stack.defer(() => store.client.end());
      return { ...failing, url, session: plain(store, maxAge) };
    },
  },
  {
    name: 'cookie-session',
    package: 'cookie-session',
    inCookie: true,
    start: async (_stack, maxAge) => ({
      session: load('cookie-session')({ keys: [secret], maxAge }),
      style: {
        ...assigning,
        logOut: (req) => {
          req.session = null;
        },
      },
    }),
  },
  {
    name: 'iron-session',
    package: 'iron-session',
    inCookie: true,
    start: async (_stack, maxAge) => {
      const { getIronSession } = await import(require.resolve('iron-session'));
      const options = { password: secret, cookieName: 'sid', ttl: maxAge / 1000 };
      const cookieOptions = { secure: false };
      return {
        session: async (req: Loose, res, next) => {
          req.session = await getIronSession(req, res, { ...options, cookieOptions });
          next();
        },
        style: {
          change: async (req, edit) => {
            edit(req.session);
            await req.session.save();
          },
          logOut: (req) => req.session.destroy(),
        },
      };
    },
  },
];

type OurStore = Omit<Running, 'session' | 'style'> & { backend: Backend };
const ourStores: Record<
  string,
  { stopped?: true; start: (stack: AsyncDisposableStack, url?: string) => Promise<OurStore> }
> = {
  memory: {
    start: async () => {
      const backend = memoryBackend();
      return { backend, count: async () => backend.texts.size };
    },
  },
  SQLite: {
    start: async (stack, url) => {
      const file = url ?? join(stack.use(await tempDir('league')).path, 'sessions.db');
      const database = new DatabaseSync(file);
      database.exec('PRAGMA synchronous = NORMAL'); // as better-sqlite3 and the shop have it
      stack.defer(() => database.close());
      return {
        url: file,
        backend: sqliteBackend(database),
        count: async () => Number(database.prepare('select count(*) n from records').get()?.n),
        refuse: async () => database.exec(sqliteTrigger('records')),
        accept: async () => database.exec('drop trigger refuse_insert; drop trigger refuse_update'),
      };
    },
  },
  Redis: {
    start: async (stack, url) => {
      const redis = await startLeagueRedis(stack, url);
      return { ...redis, backend: redisBackend(redis.client) };
    },
  },
  PostgreSQL: {
    start: async (stack, url) => {
      const { pool, ...postgres } = await startLeaguePostgres(stack, 'records', url);
      const fill = (count: number, text: string) =>
        pool.query(
          `insert into records select 'sess:' || md5(n::text), 1, $2, now() + interval '1 hour'
            from generate_series(1, $1::int) n`,
          [count, text],
        );
      return { ...postgres, fill, backend: postgresBackend(pool) };
    },
  },
  MariaDB: {
    start: async (stack, url) => {
      const { pool, ...mysql } = await startLeagueMysql(stack, 'records', url);
      const fill = (count: number, text: string) =>
        pool.query(
          `insert into records select concat('sess:', md5(seq)), 1, ?, utc_timestamp(3) + interval 1 hour
            from seq_1_to_${count}`,
          [text],
        );
      return { ...mysql, fill, backend: mysqlBackend(pool) };
    },
  },
  Memcached: {
    stopped: true,
    start: async (stack, at) => {
      const { url, ...failing } = await startLeagueMemcached(stack, at);
      const client = new MemcacheClient({ server: new URL(url).host, noDelay: true });
      stack.defer(() => client.shutdown());
      return { ...failing, url, backend: memcachedBackend(client) };
    },
  },
};

/** The fields of the league's sessions, which are not the shop's. */
const fields: Loose = z.object({ user: z.string().optional() }).catchall(z.number());

type Use = (backend: Backend, maxAge: number) => Pick<Running, 'session' | 'style'>;
const ofOurs = (name: string, use: Use) =>
  Object.entries(ourStores).map(
    ([store, { stopped, start }]): Contestant => ({
      name: `${name}, ${store}`,
      ...(stopped && { stopped }),
      sweeps: 'every minute',
      start: async (stack, maxAge, url) => {
        const started = await start(stack, url);
        return { ...started, ...use(started.backend, maxAge) };
      },
    }),
  );

const dropIn = ofOurs('dropInStore', (backend, maxAge) => ({
  session: plain(dropInStore(backend, { counters: ['items'] }), maxAge),
}));

const updating = ofOurs('updateSession', (backend, maxAge) => ({
  session: sessionMiddleware({
    backend,
    fields,
    secrets: [secret],
    cookie: {
      name: 'sid',
      attributes: { path: '/', httpOnly: true, secure: false, sameSite: 'lax' },
    },
    idleMs: maxAge,
    absoluteMs: DAY_MS,
  }),
  style: {
    change: (req, edit) => updateSession(req, edit),
    logOut: (req, res) => endSession(req, res),
  },
}));

export const contestants = [...ofOthers, ...dropIn, ...updating];

const sqliteTrigger = (table: string) =>
  ['insert', 'update']
    .map(
      (change) => `create trigger refuse_${change} before ${change} on ${table}
        begin select raise(abort, 'disk full'); end;`,
    )
    .join('\n');

/** @returns the URL of a server, which it starts if nobody else has */
async function urlOf(
  stack: AsyncDisposableStack,
  start: () => Promise<{ url: string; stop(): Promise<void> }>,
  url?: string,
): Promise<string> {
  return url ?? stack.adopt(await start(), (server) => server.stop()).url;
}

async function startLeagueRedis(stack: AsyncDisposableStack, at?: string) {
  const url = await urlOf(stack, startRedis, at);
  const client = createClient({ url });
  client.on('error', () => {});
  await client.connect();
  stack.defer(() => client.destroy());
  const needReplicas = (count: string) => client.configSet('min-replicas-to-write', count);
  return {
    url,
    client,
    count: () => client.dbSize(),
    refuse: () => needReplicas('1'),
    accept: () => needReplicas('0'),
  };
}

// Unlike in the tests, these servers wait for the disk and have their memory as they do by default. Only
// Memcached gets more, so that it evicts no session.
async function startLeagueMemcached(stack: AsyncDisposableStack, at?: string) {
  if (at) return { url: at };
  const server = stack.adopt(await startMemcached('--memory-limit=1024'), (each) => each.stop());
  return { url: server.url, refuse: server.kill, accept: server.restart };
}

async function startLeaguePostgres(stack: AsyncDisposableStack, table: string, at?: string) {
  const url = await urlOf(stack, () => startPostgres('fsync=on'), at);
  const pool = new pg.Pool({ connectionString: url });
  stack.defer(() => pool.end());
  return {
    url,
    pool,
    count: async () => Number((await pool.query(`select count(*) n from ${table}`)).rows[0].n),
    refuse: () =>
      pool.query(`create or replace function refuse() returns trigger language plpgsql
        as $$ begin raise 'disk full'; end $$;
        create trigger refuse before insert or update on ${table}
        for each row execute function refuse()`),
    accept: () => pool.query(`drop trigger refuse on ${table}`),
  };
}

const asByDefault = [
  '--innodb-flush-log-at-trx-commit=1',
  '--innodb-log-file-size=96M',
  '--innodb-buffer-pool-size=128M',
];

async function startLeagueMysql(stack: AsyncDisposableStack, table: string, at?: string) {
  const url = await urlOf(stack, () => startMariadb(...asByDefault), at);
  const pool = createPool(url);
  stack.defer(() => pool.end());
  const changes = ['insert', 'update'];
  const eachChange = (statement: (change: string) => string) =>
    Promise.all(changes.map((change) => pool.query(statement(change))));
  return {
    url,
    pool,
    count: async () => {
      const [rows] = await pool.query<RowDataPacket[]>(`select count(*) n from ${table}`);
      return Number(rows[0]?.n);
    },
    refuse: () =>
      eachChange(
        (change) => `create trigger refuse_${change} before ${change} on ${table} for each row
          signal sqlstate '45000' set message_text = 'disk full'`,
      ),
    accept: () => eachChange((change) => `drop trigger refuse_${change}`),
  };
}
