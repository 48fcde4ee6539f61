import assert from 'node:assert/strict';
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
  const time = (name: string, ms: unknown) =>
    `${name} must be a number of milliseconds above 0, not ${String(ms)}`;
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
    [{ answerWithinMs: -1 }, time('answerWithinMs', -1)],
    [{ askEveryMs: null }, time('askEveryMs', null)],
  ];
  for (const [bad, message] of cases)
    assert.throws(start(bad), { name: 'TypeError', message }, JSON.stringify(bad));
  start({ answerWithinMs: undefined, askEveryMs: undefined, fields: undefined })();
});

it('dropInStore refuses bad options as the app starts, and names them', () => {
  for (const backend of [null, {}, new MemoryStore()])
    assert.throws(startDropIn({}, backend), /backend must have get, compareAndSet and destroy/);
  for (const name of ['idleMs', 'absoluteMs', 'answerWithinMs'])
    for (const ms of [Number.NaN, 0, '60000'])
      assert.throws(startDropIn({ [name]: ms }), RegExp(`^TypeError: ${name} must be a number`));
  assert.throws(startDropIn({ counters: 'views' }), /counters must be a list/);
  startDropIn({ idleMs: Infinity, absoluteMs: Infinity, counters: ['views'] })();
});

it('each backend refuses a missing client as the app starts', () => {
  const backends = { redisBackend, postgresBackend, mysqlBackend, memcachedBackend };
  for (const [name, backend] of Object.entries(backends))
    for (const client of [undefined, {}])
      assert.throws(() => backend(client as never), RegExp(`^TypeError: ${name} takes `));
});
