import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { it } from 'node:test';
import { MemoryStore } from 'express-session';
import {
  dropInStore,
  memcachedBackend,
  memoryBackend,
  mysqlBackend,
  postgresBackend,
  redisBackend,
  sessionMiddleware,
  sqliteBackend,
} from '../session/index.ts';

const attributes = { path: '/', httpOnly: true, secure: false, sameSite: 'lax' } as const;
const good = {
  backend: memoryBackend(),
  secrets: ['a secret'],
  cookie: { name: 'sid', attributes },
  idleMs: 60_000,
  absoluteMs: 60_000,
};
// As plain JavaScript could pass them.
type Bad = { [option: string]: unknown };
const start = (bad: Bad) => () => sessionMiddleware({ ...good, ...bad });
const startDropIn =
  (bad: Bad, backend: unknown = memoryBackend()) =>
  () =>
    dropInStore(backend as typeof good.backend, bad);

it('sessionMiddleware refuses bad options as the app starts, and names them', () => {
  const SECRETS = 'secrets must be a list of strings, none of them empty';
  const BACKEND = 'The backend must have get, compareAndSet and destroy: see memoryBackend()';
  const COOKIE = 'The cookie must have a name and attributes';
  const time = (name: string, ms: unknown, longest = 1e13) =>
    `${name} must be a number of milliseconds above 0 and at most ${longest}, not ${String(ms)}`;
  const timer = (name: string, ms: unknown) => time(name, ms, 2 ** 31 - 1);
  const cases: [bad: Bad, message: string][] = [
    [{ secrets: undefined }, SECRETS],
    [{ secrets: 'keyboard cat' }, SECRETS],
    [{ secrets: [] }, SECRETS],
    [{ secrets: ['new', ''] }, SECRETS],
    [{ secrets: [undefined] }, SECRETS],
    [{ backend: undefined }, BACKEND],
    [{ backend: new MemoryStore() }, BACKEND],
    [{ cookie: undefined }, COOKIE],
    [{ cookie: { name: 'sid' } }, COOKIE],
    [{ cookie: { attributes } }, COOKIE],
    [{ fields: {} }, 'fields must be a z.object() of zod 4'],
    [{ idleMs: undefined }, time('idleMs', undefined)],
    [{ idleMs: Number.NaN }, time('idleMs', Number.NaN)],
    [{ idleMs: '60000' }, time('idleMs', '60000')],
    [{ absoluteMs: 0 }, time('absoluteMs', 0)],
    [{ absoluteMs: Number.POSITIVE_INFINITY }, time('absoluteMs', 'Infinity')],
    [{ absoluteMs: Number.MAX_SAFE_INTEGER }, time('absoluteMs', Number.MAX_SAFE_INTEGER)],
    [{ answerWithinMs: -1 }, timer('answerWithinMs', -1)],
    [{ answerWithinMs: 2 ** 31 }, timer('answerWithinMs', 2 ** 31)],
    [{ askEveryMs: null }, timer('askEveryMs', null)],
  ];
  for (const [bad, message] of cases)
    assert.throws(start(bad), { name: 'TypeError', message }, JSON.stringify(bad));
  start({ answerWithinMs: undefined, askEveryMs: undefined, fields: undefined })();
});

it('dropInStore refuses bad options as the app starts, and names them', () => {
  for (const backend of [null, {}, new MemoryStore()])
    assert.throws(startDropIn({}, backend), /backend must have get, compareAndSet and destroy/);
  for (const name of ['idleMs', 'absoluteMs', 'answerWithinMs'])
    for (const ms of [Number.NaN, 0, '60000', 1e20])
      assert.throws(startDropIn({ [name]: ms }), RegExp(`^TypeError: ${name} must be a number`));
  assert.throws(startDropIn({ counters: 'views' }), /counters must be a list/);
  startDropIn({ idleMs: Infinity, absoluteMs: Infinity, counters: ['views'] })();
});

it('each backend refuses a missing client, and one that it cannot use, as the app starts', () => {
  const backends = { redisBackend, postgresBackend, mysqlBackend, memcachedBackend };
  for (const [name, backend] of Object.entries(backends))
    for (const client of [undefined, {}])
      assert.throws(() => backend(client as never), RegExp(`^TypeError: ${name} takes `));
  const ioredis = { get: () => {}, eval: () => {}, del: () => {}, defineCommand: () => {} };
  assert.throws(
    () => redisBackend(ioredis as never),
    /^TypeError: redisBackend takes .* not of ioredis$/,
  );
  for (const options of [{ readBigInts: true }, { returnArrays: true }])
    assert.throws(
      () => sqliteBackend(new DatabaseSync(':memory:', options)),
      /^TypeError: sqliteBackend takes /,
    );
});
