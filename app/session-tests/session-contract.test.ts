import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { text as readAll } from 'node:stream/consumers';
import { afterEach, beforeEach, it, type TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { runInThisContext } from 'node:vm';
import { sign } from 'cookie-signature';
import express, { type Request } from 'express';
import { z } from 'zod';
import { type HttpClient, httpClient } from '../../test-support/http-client.ts';
import { inLanes } from '../../test-support/in-lanes.ts';
import { type Listening, listen } from '../../test-support/listen.ts';
import { run as runCommand } from '../../test-support/run.ts';
import { COMMON_STORES, onEachStore } from '../../test-support/stores.ts';
import { until } from '../../test-support/until.ts';
import {
  type Backend,
  compareAndSetLoop,
  draftOf,
  endSession,
  findSessions,
  memoryBackend,
  newSessionId,
  readCookie,
  renewSession,
  type SessionDraft,
  SessionGone,
  type SessionOptions,
  sessionFields,
  sessionHandle,
  sessionMiddleware,
  updateSession,
  type Versioned,
} from '../session/index.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const UNREADABLE = ['{"views":1,', '[]', '7', 'null', '{"version":1}', '"__proto__"'];

const OTHER_PROCESS = 'test-support/other-process.ts';

const record = (version: number, views = 0) => ({ version, views });

const idIn = (client: HttpClient) =>
  /s:(.+)\./.exec(decodeURIComponent(client.cookie ?? ''))?.[1] ?? '';

onEachStore(
  'a backend',
  (store) => {
    const expired = (key: string) =>
      until(async () => (await store.read(key)) === undefined, `${key} has expired`);

    it('creates, reads, updates and destroys a record', async () => {
      const key = newSessionId();
      assert.equal(await store.read(key), undefined);
      assert.equal(await store.backend.compareAndSet(key, 0, record(1, 1), MINUTE), true);
      assert.equal((await store.read(key))?.views, 1);
      assert.equal(await store.backend.compareAndSet(key, 1, record(2, 2), MINUTE), true);
      assert.equal((await store.read(key))?.views, 2);
      await store.backend.destroy(key);
      assert.equal(await store.read(key), undefined);
    });

    it('refuses to create an existing record, and to update or delete a newer or missing one', async () => {
      const key = newSessionId();
      await store.backend.compareAndSet(key, 0, record(1, 1), MINUTE);
      assert.equal(await store.backend.compareAndSet(key, 0, record(1, 9), MINUTE), false);
      await store.backend.compareAndSet(key, 1, record(2, 2), MINUTE);
      assert.equal(await store.backend.compareAndSet(key, 1, record(2, 9), MINUTE), false);
      assert.equal(await store.backend.compareAndSet(key, 0, null), false);
      assert.equal(await store.backend.compareAndSet(key, 1, null, 0), false);
      assert.equal((await store.read(key))?.views, 2);
      assert.equal(await store.backend.compareAndSet(key, 2, null, 0), true);
      assert.equal(await store.backend.compareAndSet(key, 2, record(3, 9), MINUTE), false);
      assert.equal(await store.read(key), undefined);
    });

    it('lets exactly one of many writers win', async () => {
      const key = newSessionId();
      await store.backend.compareAndSet(key, 0, record(1), MINUTE);
      const attempts = Array.from({ length: 50 }, (_, n) =>
        store.backend.compareAndSet(key, 1, record(2, n), MINUTE),
      );
      assert.equal((await Promise.all(attempts)).filter(Boolean).length, 1);
    });

    it('deletes a record by itself when its time is up, and lets one of many writers create it again', async () => {
      const [made, changed] = [newSessionId(), newSessionId()];
      await store.backend.compareAndSet(made, 0, record(1), 60);
      await store.backend.compareAndSet(changed, 0, record(1), MINUTE);
      await store.backend.compareAndSet(changed, 1, record(2), 60);
      for (const key of [made, changed]) await expired(key);
      assert.equal(await store.backend.compareAndSet(changed, 2, record(3), MINUTE), false);
      const attempts = Array.from({ length: 20 }, (_, n) =>
        store.backend.compareAndSet(made, 0, record(1, n), MINUTE),
      );
      assert.equal((await Promise.all(attempts)).filter(Boolean).length, 1);
    });

    it('keeps a record for the time that was set last, even beyond the longest timer', async () => {
      const keep = async (ttlMs: number | undefined) => {
        const key = newSessionId();
        await store.backend.compareAndSet(key, 0, record(1), 60);
        // On a busy machine, the first record has expired by now.
        if (!(await store.backend.compareAndSet(key, 1, record(2), ttlMs))) return keep(ttlMs);
        const other = newSessionId();
        await store.backend.compareAndSet(other, 0, record(1), 60);
        await expired(other);
        assert.equal((await store.read(key))?.version, 2, String(ttlMs));
      };
      const times = [MINUTE, MINUTE + 0.5, 2 ** 31, 31 * 24 * HOUR, 20 * 365 * 24 * HOUR];
      await Promise.all([...times, undefined].map(keep));
    });

    it('keeps and changes any text, and distinguishes keys that differ only in upper and lower case', async () => {
      const key = newSessionId();
      const texts = [
        'é',
        'E\u0301',
        '\u{1f45c}',
        '\u0000',
        '\ud83d',
        '\\ud83d',
        `'"\\`,
        '$1 ? :key',
      ];
      for (const [n, text] of texts.entries()) {
        const next = { ...record(1), text };
        for (const each of [`${key}k${n}`, `${key}K${n}`])
          assert.equal(await store.backend.compareAndSet(each, 0, next, MINUTE), true);
        assert.equal((await store.read(`${key}k${n}`)).text, text);
        const changed = { ...next, version: 2 };
        assert.equal(await store.backend.compareAndSet(`${key}k${n}`, 1, changed, MINUTE), true);
      }
    });

    it('changes a record whatever the order of its fields', async () => {
      for (const text of ['{"version":3,"views":1}', '{"views":1,"note":"\\ud83d","version":3}']) {
        const key = newSessionId();
        await store.plant(key, text);
        assert.equal(await store.backend.compareAndSet(key, 2, record(3), MINUTE), false, text);
        assert.equal(await store.backend.compareAndSet(key, 3, record(4), MINUTE), true, text);
      }
    });

    it('does not overwrite unreadable text', async () => {
      const key = newSessionId();
      // Databases have the version in a column of its own.
      const truncated = store.redis ? ['{"version":3,"views":'] : [];
      for (const text of [...UNREADABLE, ...truncated]) {
        await store.plant(key, text);
        assert.equal(await store.backend.get(key), text);
        for (const version of [0, 3]) {
          const next = record(version + 1);
          const set = await store.backend.compareAndSet(key, version, next, MINUTE);
          assert.equal(set, false, `${text} at version ${version}`);
        }
      }
    });
  },
  COMMON_STORES,
);

onEachStore(
  'two processes',
  (store) => {
    it('lose none of 200 changes, and bring back no record that the other one has destroyed', async (t) => {
      const key = newSessionId();
      const over = new AbortController();
      t.after(() => over.abort());
      const args = [OTHER_PROCESS, store.url ?? '', key];
      const other = runCommand(process.execPath, args, { signal: over.signal });
      const read = async () => (await store.read(key)) as Versioned | undefined;
      await until(async () => (await read()) !== undefined, 'the other process counts');
      const { compareAndSet, destroy } = store.backend;
      const commit = compareAndSetLoop<Versioned>({ get: read, compareAndSet });
      for (let n = 0; n < 100; n++)
        await commit(key, undefined, (current) => ({ version: (current?.version ?? 0) + 1 }));
      const keys = Array.from({ length: 1000 }, (_, n) => `${key}:${n}`);
      // The other process creates these once it has counted, too.
      const isDone = async () => (await store.read(`${key}:0`)) !== undefined;
      await Promise.race([until(isDone, 'the other process has counted'), other]);
      const kept = (await read())?.version;
      assert.equal(kept, 200, `${kept} of 200 changes are kept`);

      await inLanes(keys, async (each) => {
        while ((await store.read(each)) === undefined) await nextTurn();
        await destroy(each);
      });
      await other;
      for (const each of keys) assert.equal(await store.read(each), undefined);
    });
  },
  ['Redis', 'SQLite'],
);

onEachStore(
  'a session',
  (store) => {
    let now: number;
    let site: Listening;
    let client: HttpClient;
    /** Where a slow request waits, its session loaded, until the test lets it go on. */
    let slow: { arrived: PromiseWithResolvers<void>; goOn: PromiseWithResolvers<void> };

    beforeEach(async () => {
      now = Date.now();
      slow = { arrived: Promise.withResolvers(), goOn: Promise.withResolvers() };
      site = await listen(sessionApp());
      client = httpClient(site.origin);
    });
    afterEach(() => site.close());

    function sessionApp({
      secrets = ['a secret'],
      backend = store.backend,
      answerWithinMs = 20_000, // a slow machine is no outage
    } = {}) {
      const app = express();
      app.use(
        sessionMiddleware({
          backend,
          answerWithinMs,
          secrets,
          cookie: {
            name: 'sid',
            attributes: { path: '/', httpOnly: true, secure: false, sameSite: 'lax' },
          },
          idleMs: 30 * MINUTE,
          absoluteMs: 12 * HOUR,
          now: () => now,
        }),
      );
      app.get('/', (req, res) => res.json(req.session));
      app.get('/last-seen/:handle', async (req, res) => {
        const { handle } = req.params;
        res.json({ at: (await findSessions(req, [handle])).get(handle)?.lastSeenAt });
      });
      app.post('/count', async (req, res) => {
        await updateSession(req, (draft) => {
          draft.views += 1;
        });
        res.json({ views: req.session.views });
      });
      app.post('/slow-count', async (req, res) => {
        slow.arrived.resolve();
        await slow.goOn.promise;
        await updateSession(req, (draft) => {
          draft.views += 1;
        });
        res.json({});
      });
      app.get('/slow-look', async (_req, res) => {
        slow.arrived.resolve();
        await slow.goOn.promise;
        res.json({});
      });
      app.post('/log-in', async (req, res) => {
        const user = { id: '1', email: 'ada@cloakroom.test', name: 'Ada' };
        await renewSession(req, (old) => ({ user, views: old?.views ?? 0 }));
        res.json({});
      });
      app.post('/log-out', async (req, res) => {
        await endSession(req, res);
        res.json({});
      });
      app.post('/slow-renewal', async (req, res) => {
        slow.arrived.resolve();
        await slow.goOn.promise;
        await renewSession(req, (old) => {
          if (!old) throw new SessionGone();
          return draftOf(old);
        });
        res.json({});
      });
      app.post('/log-out-and-count', async (req, res) => {
        await endSession(req, res);
        await updateSession(req, (draft) => {
          draft.views += 1;
        });
        res.json({});
      });
      app.post('/refuse', async (req, res) => {
        await updateSession(req, (draft) => {
          draft.views = 1000;
          throw new Error('refused');
        });
        res.json({});
      });
      app.post('/assign', (req, res) => {
        Object.assign(req.session, { views: 1000 });
        res.json({});
      });
      app.use(((error, _req, res, _next) => {
        res.status(error instanceof SessionGone ? 409 : 500).json({ error: String(error) });
      }) satisfies express.ErrorRequestHandler);
      return app;
    }

    const views = async () => (await client.get('/')).json.views;
    const stored = (cookieHolder = client) => store.read(sessionHandle(idIn(cookieHolder)));
    /** The response does not wait for it. */
    const touched = (cookieHolder = client) =>
      until(async () => (await stored(cookieHolder))?.lastSeenAt === now, 'touched');

    it('is not stored and sets no cookie until something changes it', async () => {
      const response = await client.get('/');
      assert.equal(response.json.views, 0);
      assert.equal(response.headers.get('set-cookie'), null);
    });

    it('is stored under the hash of its id, without its cookie', async () => {
      await client.post('/count');
      assert.equal(await store.read(idIn(client)), undefined);
      assert.deepEqual(Object.keys((await stored()) ?? {}).toSorted(), [
        'createdAt',
        'lastSeenAt',
        'version',
        'views',
      ]);
    });

    it('keeps all 200 simultaneous changes', async () => {
      await client.post('/count');
      const responses = await Promise.all(Array.from({ length: 200 }, () => client.post('/count')));
      assert.deepEqual(new Set(responses.map(({ status }) => status)), new Set([200]));
      // Each response has a number of its own, so no change was lost or counted twice.
      assert.equal(new Set(responses.map(({ json }) => json.views)).size, 200);
      assert.equal(await views(), 201);
    });

    it('keeps a change when another process changes the session first', async (t) => {
      await client.post('/count');
      const other = await listen(sessionApp());
      t.after(other.close);
      const response = client.post('/slow-count');
      await slow.arrived.promise;
      await httpClient(other.origin, client.cookie).post('/count');
      slow.goOn.resolve();
      assert.equal((await response).status, 200);
      assert.equal(await views(), 3);
    });

    it('keeps a change although every attempt conflicts for 200 ms', async (t) => {
      await client.post('/count');
      const giveIn = performance.now() + 200;
      const backend: Backend = {
        ...store.backend,
        compareAndSet: async (...args) =>
          performance.now() >= giveIn && store.backend.compareAndSet(...args),
      };
      const other = await listen(sessionApp({ backend }));
      t.after(other.close);
      const visitor = httpClient(other.origin, client.cookie);
      assert.equal((await visitor.post('/count')).json.views, 2);
    });

    it('never comes back when a slow write ends after log-out', async () => {
      for (let attempt = 0; attempt < 100; attempt++) {
        slow = { arrived: Promise.withResolvers(), goOn: Promise.withResolvers() };
        await client.post('/count');
        await client.post('/log-in');
        const old = httpClient(site.origin, client.cookie);
        const write = old.post('/slow-count');
        await slow.arrived.promise;
        await client.post('/log-out');
        slow.goOn.resolve();
        assert.equal((await write).status, 409);
        assert.equal((await write).headers.get('set-cookie'), null);
        assert.equal(await stored(old), undefined);
        assert.equal((await old.get('/')).json.user, undefined);
      }
    });

    it('ends at log-out although other requests keep changing it', async (t) => {
      await client.post('/count');
      const overtaken: Backend = {
        ...store.backend,
        compareAndSet: async (key, version, next, ttlMs) =>
          next !== null && store.backend.compareAndSet(key, version, next, ttlMs),
      };
      const other = await listen(sessionApp({ backend: overtaken }));
      t.after(other.close);
      const visitor = httpClient(other.origin, client.cookie);
      assert.equal((await visitor.post('/log-in')).status, 500); // it gives up
      assert.equal((await stored())?.views, 1);
      assert.equal((await visitor.post('/log-out')).status, 200);
      assert.equal(await stored(), undefined);
    });

    it('never comes back when a slow page ends after log-out', async () => {
      await client.post('/log-in');
      const old = httpClient(site.origin, client.cookie);
      const page = old.get('/slow-look');
      await slow.arrived.promise;
      await client.post('/log-out');
      slow.goOn.resolve();
      await page;
      assert.equal(await stored(old), undefined);
    });

    it('clears its cookie at log-out', async () => {
      await client.post('/log-in');
      const response = await client.post('/log-out');
      assert.match(response.headers.get('set-cookie') ?? '', /^sid=; Path=\/; Expires=Thu, 01 Jan/);
      assert.equal(response.headers.getSetCookie().length, 1);
    });

    it('gets a new id at log-in, and the old id stops working', async () => {
      await client.post('/count');
      const old = httpClient(site.origin, client.cookie);
      await client.post('/log-in');
      assert.notEqual(client.cookie, old.cookie);
      assert.equal(await views(), 1);
      assert.equal(await stored(old), undefined);
      assert.equal((await old.get('/')).json.user, undefined);
      const again = client.cookie;
      await client.post('/log-in');
      assert.notEqual(client.cookie, again, 'renewed at the second log-in, too');
    });

    it('is not replaced by a request that was sent before the new cookie arrived', async () => {
      await client.post('/count');
      const late = httpClient(site.origin, client.cookie);
      await client.post('/log-in');
      const look = await late.get('/');
      assert.deepEqual([look.status, look.json.views, look.json.user], [200, 0, undefined]);
      const write = await late.post('/count');
      assert.equal(write.status, 409);
      assert.equal((await late.post('/log-out')).status, 409);
      for (const { headers } of [look, write]) assert.equal(headers.get('set-cookie'), null);
      assert.equal((await client.get('/')).json.user.name, 'Ada');
    });

    it('keeps a change that another request makes during log-in', async (t) => {
      await client.post('/count');
      const old = httpClient(site.origin, client.cookie);
      let interfering = true;
      const backend: Backend = {
        ...store.backend,
        compareAndSet: async (key, version, next, ttlMs) => {
          // Another request stores a change just before the old session is deleted.
          if (next === null && interfering) {
            interfering = false;
            assert.equal((await old.post('/count')).json.views, 2);
          }
          return store.backend.compareAndSet(key, version, next, ttlMs);
        },
      };
      const other = await listen(sessionApp({ backend }));
      t.after(other.close);
      const member = httpClient(other.origin, client.cookie);
      await member.post('/log-in');
      assert.equal((await member.get('/')).json.views, 2);
      assert.equal(await stored(old), undefined);
    });

    it('is not revived by a renewal that ends after log-out, and nothing is left in the store', async (t) => {
      const left = new Set<string>();
      const backend: Backend = {
        ...store.backend,
        compareAndSet: async (key, version, next, ttlMs) => {
          if (next && !key.startsWith('moved:')) left.add(key);
          return store.backend.compareAndSet(key, version, next, ttlMs);
        },
      };
      const other = await listen(sessionApp({ backend }));
      t.after(other.close);
      client = httpClient(other.origin);
      await client.post('/log-in');
      const old = httpClient(other.origin, client.cookie);
      const renewal = old.post('/slow-renewal');
      await slow.arrived.promise;
      await client.post('/log-out');
      slow.goOn.resolve();
      assert.equal((await renewal).status, 409);
      assert.equal((await old.get('/')).json.user, undefined);
      assert.equal(left.size, 2);
      for (const key of left) assert.equal(await store.read(key), undefined);
    });

    it('is listed by its handle with the time of its last use, until it expires', async () => {
      await client.post('/count');
      const handle = sessionHandle(idIn(client));
      const other = httpClient(site.origin);
      await other.post('/count');
      const look = async () => (await other.get(`/last-seen/${handle}`)).json;
      const usedAt = now;
      now += 29 * MINUTE;
      await other.get('/');
      assert.deepEqual(await look(), { at: usedAt });
      now += 2 * MINUTE;
      assert.deepEqual(await look(), {});
    });

    it('is not lost when the store fails in the middle of log-in: the new cookie comes with the error', async (t) => {
      await client.post('/count');
      const backend: Backend = {
        ...store.backend,
        compareAndSet: async (...args) => {
          const done = await store.backend.compareAndSet(...args);
          if (args[2] === null) throw new Error('the answer is lost');
          return done;
        },
      };
      const other = await listen(sessionApp({ backend }));
      t.after(other.close);
      const visitor = httpClient(other.origin, client.cookie);
      assert.equal((await visitor.post('/log-in')).status, 500);
      assert.notEqual(visitor.cookie, client.cookie);
      client.cookie = visitor.cookie;
      const { views: kept, user } = (await client.get('/')).json;
      assert.deepEqual([kept, user.name], [1, 'Ada']);
    });

    it('keeps its id, and a change made meanwhile, when the store fails before log-in ends the old session', async (t) => {
      for (const lost of ['first write', 'mark', 'second write', 'read']) {
        await client.post('/count');
        let failures = 0;
        const fail = (isIt: boolean) => {
          if (isIt && failures++ === 0) throw new Error('the answer is lost');
        };
        const backend: Backend = {
          ...store.backend,
          get: async (key) => {
            fail(lost === 'read' && writes > 0);
            return store.backend.get(key);
          },
          compareAndSet: async (key, version, next, ttlMs) => {
            const isNew = key !== handle && !key.startsWith('moved:');
            if (isNew) newKey = key;
            if (isNew && writes++ === 0) await client.post('/count'); // log-in must start again
            const done = await store.backend.compareAndSet(key, version, next, ttlMs);
            fail(lost === 'mark' && key.startsWith('moved:'));
            fail(lost === 'second write' && isNew && writes === 2);
            fail(lost === 'first write' && isNew);
            return done;
          },
        };
        let writes = 0;
        let newKey = '';
        const handle = sessionHandle(idIn(client));
        const other = await listen(sessionApp({ backend }));
        t.after(other.close);
        const visitor = httpClient(other.origin, client.cookie);
        assert.equal((await visitor.post('/log-in')).status, 500, lost);
        assert.deepEqual([failures, visitor.cookie], [1, client.cookie], lost);
        assert.equal(await store.read(newKey), undefined, lost);
        assert.equal(await views(), 2, lost);
        assert.equal((await visitor.post('/log-in')).status, 200, lost);
        assert.deepEqual((await visitor.get('/')).json.views, 2, lost);
        assert.equal(await stored(), undefined, lost);
        client.cookie = undefined;
      }
    });

    it('is not revived by the request that ended it', async () => {
      await client.post('/log-in');
      const old = httpClient(site.origin, client.cookie);
      assert.equal((await client.post('/log-out-and-count')).status, 409);
      assert.equal(await stored(old), undefined);
    });

    it('needs about one write for each of 100 simultaneous changes in one process', async (t) => {
      await client.post('/count');
      let writes = 0;
      const backend: Backend = {
        ...store.backend,
        compareAndSet: (...args) => {
          writes += 1;
          return store.backend.compareAndSet(...args);
        },
      };
      const other = await listen(sessionApp({ backend }));
      t.after(other.close);
      const visitor = httpClient(other.origin, client.cookie);
      await Promise.all(Array.from({ length: 100 }, () => visitor.post('/count')));
      assert.ok(writes <= 110, `${writes} writes`);
    });

    it('is shown although the store refuses to restart its idle clock', async (t) => {
      await client.post('/count');
      const backend: Backend = {
        ...store.backend,
        compareAndSet: () => Promise.reject(new Error('read only')),
      };
      const other = await listen(sessionApp({ backend }));
      t.after(other.close);
      const visitor = httpClient(other.origin, client.cookie);
      assert.equal((await visitor.get('/')).json.views, 1);
      // The connection stays open: it answers the next request, too.
      const socket = connect(other.port, '127.0.0.1');
      const request = `GET / HTTP/1.1\r\nHost: a.test\r\nCookie: ${client.cookie}\r\n`;
      socket.write(`${request}\r\n`);
      await once(socket, 'data');
      socket.write(`${request}Connection: close\r\n\r\n`);
      assert.match(await readAll(socket), /^HTTP\/1\.1 200 /);
    });

    it('does not make queued changes wait for a silent store one after the other', async (t) => {
      await client.post('/count');
      let asked = 0;
      const backend: Backend = {
        ...store.backend,
        compareAndSet: (_key, version, next) => {
          if (next?.version !== version) asked += 1; // nobody waits for a touch
          return new Promise(() => {});
        },
      };
      const other = await listen(sessionApp({ backend, answerWithinMs: 300 }));
      t.after(other.close);
      const visitor = httpClient(other.origin, client.cookie);
      const responses = await Promise.all(Array.from({ length: 30 }, () => visitor.post('/count')));
      assert.ok(responses.every(({ json }) => /StoreUnavailable/.test(json.error)));
      // The changes that queued up fail with the first one. Only later changes ask again.
      assert.ok(asked < 15, `${asked} of 30 asked for themselves`);
    });

    it('takes no change after 12 hours', async () => {
      await client.post('/count');
      const write = client.post('/slow-count');
      await slow.arrived.promise;
      now += 12 * HOUR;
      slow.goOn.resolve();
      assert.equal((await write).status, 409);
    });

    it('accepts no id from outside', async () => {
      const planted = httpClient(site.origin, 'sid=s%3Aplanted.c2lnbmF0dXJl');
      await planted.post('/count');
      assert.notEqual(idIn(planted), 'planted');
      await client.post('/count');
      const forged = httpClient(site.origin, client.cookie?.replace(/.$/, 'x'));
      assert.equal((await forged.get('/')).json.views, 0);
    });

    it('survives the rotation of the secret: the next request signs its cookie again', async (t) => {
      await client.post('/count');
      const rotating = await listen(sessionApp({ secrets: ['new secret', 'a secret'] }));
      t.after(rotating.close);
      const rotated = await listen(sessionApp({ secrets: ['new secret'] }));
      t.after(rotated.close);
      const visitor = httpClient(rotating.origin, client.cookie);
      assert.equal((await visitor.get('/')).json.views, 1);
      assert.notEqual(visitor.cookie, client.cookie);
      assert.equal((await visitor.get('/')).headers.get('set-cookie'), null, 'once');
      assert.equal((await httpClient(rotated.origin, visitor.cookie).get('/')).json.views, 1);
      assert.equal((await httpClient(rotated.origin, client.cookie).get('/')).json.views, 0);
      await visitor.post('/log-out');
      assert.equal(visitor.cookie, undefined);
    });

    it('ends after 30 idle minutes, and each request restarts the clock', async () => {
      await client.post('/count');
      for (const _ of [1, 2]) {
        now += 30 * MINUTE - 1000;
        assert.equal(await views(), 1);
        await touched();
      }
      now += 30 * MINUTE + 1000;
      assert.equal(await views(), 0);
      await until(async () => (await stored()) === undefined, 'deleted');
    });

    it('ends after 12 hours, even in use', async () => {
      await client.post('/count');
      for (let minutes = 0; minutes + 20 < 12 * 60; minutes += 20) {
        now += 20 * MINUTE;
        assert.equal(await views(), 1);
        await touched();
      }
      now += 21 * MINUTE;
      assert.equal(await views(), 0);
    });

    it('expires in the store when its clocks run out, whether it was changed, renewed or read', async (t) => {
      const minutes: number[] = [];
      const backend: Backend = {
        ...store.backend,
        compareAndSet: (key, version, next, ttlMs = Infinity) => {
          if (next && !key.startsWith('moved:')) minutes.push(ttlMs / MINUTE);
          return store.backend.compareAndSet(key, version, next, ttlMs);
        },
      };
      const other = await listen(sessionApp({ backend }));
      t.after(other.close);
      const visitor = httpClient(other.origin);
      for (const path of ['/count', '/log-in', '/count']) await visitor.post(path);
      now += 29 * MINUTE;
      await visitor.post('/count');
      assert.deepEqual(minutes, [30, 30, 30, 30]);
      while (minutes.length < 27) {
        now += 29 * MINUTE;
        await visitor.get('/');
        await touched(visitor);
      }
      await visitor.post('/count');
      assert.deepEqual(minutes.slice(-2), [24, 24], 'what is left of 12 hours');
    });

    it('starts afresh when the stored text is unreadable', async () => {
      for (const text of UNREADABLE) {
        await client.post('/count');
        await store.plant(sessionHandle(idIn(client)), text);
        const response = await client.post('/count');
        assert.deepEqual([response.status, response.json.views], [200, 1], text);
      }
    });

    it('keeps the fields of a newer version of the app when it is read and changed', async () => {
      await client.post('/count');
      const handle = sessionHandle(idIn(client));
      const newer = { ...(await stored()), theme: { colour: 'red' } };
      await store.plant(handle, JSON.stringify(newer));
      now += MINUTE;
      await client.get('/');
      await touched();
      await client.post('/count');
      assert.deepEqual(await stored(), { ...newer, views: 2, version: 2, lastSeenAt: now });
    });

    it('is unchanged when the change throws', async () => {
      await client.post('/count');
      assert.equal((await client.post('/refuse')).status, 500);
      assert.equal(await views(), 1);
    });

    it('cannot be changed by assignment', async () => {
      await client.post('/count');
      assert.match((await client.post('/assign')).json.error, /read only/);
      assert.equal(await views(), 1);
    });
  },
  COMMON_STORES,
);

const attributes = { path: '/', httpOnly: true, secure: false, sameSite: 'lax' } as const;
const OPTIONS: SessionOptions = {
  backend: memoryBackend(),
  secrets: ['a secret'],
  cookie: { name: 'sid', attributes },
  idleMs: 30 * MINUTE,
  absoluteMs: 12 * HOUR,
};

const countView = (req: Request) =>
  updateSession(req, (draft) => {
    draft.views += 1;
  });

/** Runs one route of an app with this module, for a visitor whose session is stored. */
async function inSession(
  t: TestContext,
  run: (req: Request) => unknown,
  options: Partial<SessionOptions> = {},
) {
  const app = express();
  app.set('env', 'test'); // Express then prints no errors
  const texts = new Map<string, string>();
  app.use(sessionMiddleware({ ...OPTIONS, backend: memoryBackend(texts), ...options }));
  app.post('/count', async (req, res) => {
    await updateSession(req, (draft) => {
      draft.views += 1;
      draft.user = { id: '1', email: 'ada@cloakroom.test', name: 'Ada' };
    });
    res.json({});
  });
  app.get('/', async (req, res) => res.json({ result: await run(req), session: req.session }));
  app.use(((error: unknown, _req, res, _next) => {
    res.status(500).json({ error: String(error) });
  }) satisfies express.ErrorRequestHandler);
  const site = await listen(app);
  t.after(site.close);
  const visitor = httpClient(site.origin);
  await visitor.post('/count');
  return { visitor, texts };
}

it('a session refuses a field that JSON would change, and names it', async (t) => {
  const bad: unknown[] = [
    new Date(),
    new Map(),
    Number.NaN,
    10n,
    [1, undefined],
    { a: [{ b: new Set() }] },
    () => 1,
  ];
  let value: unknown;
  const { visitor } = await inSession(t, (req) =>
    updateSession(req, (draft) => {
      Object.assign(draft, { extra: value });
    }),
  );
  for (value of bad)
    assert.match((await visitor.get('/')).json.error, /JSON cannot store the session field extra/);
  value = { a: [1, 'b', null, { c: true }], d: undefined };
  assert.deepEqual((await visitor.get('/')).json.session.extra, { a: [1, 'b', null, { c: true }] });
  assert.equal((await visitor.get('/')).json.session.views, 1);
});

it('a session accepts at most 500 levels in a field: express-session could not respond to a deeper one', async (t) => {
  let levels = 0;
  const { visitor } = await inSession(t, (req) =>
    updateSession(req, (draft) => {
      Object.assign(draft, { extra: JSON.parse('['.repeat(levels) + ']'.repeat(levels)) });
    }),
  );
  for (levels of [501, 5000]) {
    const { json } = await visitor.get('/');
    assert.match(json.error, /The session field extra has more than 500 levels/);
  }
  levels = 500;
  assert.equal((await visitor.get('/')).status, 200);
  assert.equal((await visitor.get('/')).status, 200);
});

it('a session refuses a field that parsing changes each time, and accepts defaults and objects without a prototype', async (t) => {
  const changing = {
    age: z.string().transform(Number).optional(),
    bid: z
      .number()
      .transform((n) => n * 2)
      .optional(),
  };
  const fields = sessionFields.extend({
    ...changing,
    email: z.string().toLowerCase().optional(),
    query: z.unknown().optional(),
  });
  let edit: object;
  const { visitor } = await inSession(
    t,
    (req) => updateSession(req, (draft) => void Object.assign(draft, edit)),
    { fields },
  );
  for (const [name, value] of Object.entries({ age: '42', bid: 2 })) {
    edit = { [name]: value };
    const message = `zod would change or refuse the session field ${name} when the session is read`;
    assert.match((await visitor.get('/')).json.error, RegExp(message));
  }
  edit = { email: 'Ada@Example.test', query: Object.assign(Object.create(null), { q: 'hat' }) };
  const { email, query } = (await visitor.get('/')).json.session;
  assert.deepEqual([email, query], ['ada@example.test', { q: 'hat' }]);
});

it('a late answer to one change does not replace what a later call of the same request made of the session', async (t) => {
  const backend = memoryBackend();
  const late = Promise.withResolvers<void>();
  let isLate = false;
  const slow: Backend = {
    ...backend,
    compareAndSet: async (...args) => {
      const [, version, next] = args;
      const waits = isLate && version === 1 && next !== null;
      if (waits) isLate = false;
      const done = await backend.compareAndSet(...args);
      if (waits) await late.promise;
      return done;
    },
  };
  const { visitor } = await inSession(
    t,
    async (req) => {
      isLate = true;
      const first = countView(req);
      await renewSession(req, () => ({ user: { id: '2', email: 'b@b.test', name: 'Bob' } }));
      late.resolve();
      await first;
      await countView(req);
    },
    { backend: slow },
  );
  const { session } = (await visitor.get('/')).json;
  assert.deepEqual([session.user.name, session.views], ['Bob', 1]);
});

it('over HTTPS by a proxy that is trusted by its address, a change is stored although the client has left', async (t) => {
  const app = express().set('trust proxy', 'loopback');
  const texts = new Map<string, string>();
  const cookie = { name: 'sid', attributes: { ...attributes, secure: true } } as const;
  app.use(sessionMiddleware({ ...OPTIONS, backend: memoryBackend(texts), cookie }));
  app.post('/count', async (req, res) => {
    await countView(req);
    res.json({});
  });
  const outcome = Promise.withResolvers<unknown>();
  app.post('/count-later', async (req) => {
    socket.destroy();
    await once(req.socket, 'close');
    countView(req).then(outcome.resolve, outcome.resolve);
  });
  const { origin, port, close } = await listen(app);
  t.after(close);
  const visitor = httpClient(origin);
  await visitor.post('/count', { headers: { 'x-forwarded-proto': 'https' } });
  const socket = connect(port, '127.0.0.1');
  const headers = `Host: a.test\r\nX-Forwarded-Proto: https\r\nCookie: ${visitor.cookie}`;
  socket.write(`POST /count-later HTTP/1.1\r\n${headers}\r\n\r\n`);
  assert.equal(await outcome.promise, undefined);
  assert.match(texts.values().toArray().join(), /"views":2/);
});

it('an error in onEvent is a warning: it fails no request and ends no process', async (t) => {
  const warnings: string[] = [];
  t.mock.method(process, 'emitWarning', (text: string) => warnings.push(text));
  // A function that returns a promise is allowed where nobody uses the result.
  const mistakes: ((event: { type: string }) => unknown)[] = [
    ({ type }) => {
      throw new Error(`a mistake at ${type}`);
    },
    async () => {
      throw new Error('a mistake later');
    },
  ];
  for (const mistake of mistakes) {
    const onEvent = mistake as SessionOptions['onEvent'];
    const { visitor } = await inSession(t, (req) => updateSession(req, () => {}), { onEvent });
    assert.equal((await visitor.get('/')).status, 200);
  }
  assert.match(warnings.join('\n'), /^onEvent failed: Error: a mistake at committed$/m);
  assert.match(warnings.join('\n'), /^onEvent failed: Error: a mistake later$/m);
});

it('a session refuses an async change, at compile time and at run time', async (t) => {
  const { visitor } = await inSession(t, (req) =>
    // @ts-expect-error: a change must not wait
    updateSession(req, async (draft) => {
      draft.views = 1000;
      throw new Error('an unhandled rejection fails the test');
    }),
  );
  assert.match((await visitor.get('/')).json.error, /updateSession takes no async function/);
});

it('a session refuses an async `carry`, at compile time and at run time', async (t) => {
  const { visitor, texts } = await inSession(t, (req) =>
    // @ts-expect-error: the new session must not wait
    renewSession(req, async () => {
      throw new Error('an unhandled rejection fails the test');
    }),
  );
  const stored = [...texts.keys()];
  assert.match((await visitor.get('/')).json.error, /renewSession takes no async function/);
  assert.deepEqual([...texts.keys()], stored);
  const typed = (req: Request) =>
    // @ts-expect-error: a promise of a session is not a session
    renewSession(req, async (old) => ({ views: old?.views }));
  assert.ok(typed);
});

it('a session refuses a change that returns a new session instead of editing the draft', async (t) => {
  const { visitor } = await inSession(t, (req) =>
    updateSession(req, (draft) => ({ ...draft, views: 9 })),
  );
  assert.match((await visitor.get('/')).json.error, /Edit the draft: updateSession does not store/);
  const returned: ((draft: SessionDraft) => unknown)[] = [
    (draft) => Object.assign(draft, { views: 9 }),
    (draft) => ({ ...draft }),
    (draft) => ({ views: draft.views }),
    (draft) => {
      const before = { ...draft };
      draft.views = 9;
      return before;
    },
  ];
  for (const change of returned) {
    const other = await inSession(t, (req) => updateSession(req, change));
    assert.equal((await other.visitor.get('/')).status, 200, String(change));
  }
});

it('a new session may leave out fields that have a default, and take lists from the old one', async (t) => {
  const fields = sessionFields.extend({ todos: z.array(z.string()).default([]) });
  type Own = SessionDraft & { todos?: string[] };
  const { visitor } = await inSession(
    t,
    async (req) => {
      await updateSession(req, (draft: Own) => {
        draft.todos?.push('buy milk');
      });
      await renewSession(req, (old) => {
        const { user, todos }: Readonly<Own> = { ...old, views: 1 };
        return { user, ...(todos && { todos }) };
      });
    },
    { fields },
  );
  const { views, user, todos } = (await visitor.get('/')).json.session;
  assert.deepEqual([views, user.name, todos], [0, 'Ada', ['buy milk']]);
});

it('a session cannot be changed by assignment at any depth', async (t) => {
  for (const assign of [
    ({ session: { user } }: Request) => {
      // @ts-expect-error: the user is read-only
      if (user) user.name = 'Eve';
    },
    (req: Request) => Object.assign(req.session.user ?? {}, { role: 'admin' }),
    (req: Request) => Object.assign(req.session, { views: 9 }),
    // In sloppy mode, which much code on npm uses, a write to a frozen object would be ignored.
    sloppy('session.views = 9'),
    sloppy('session.added = 9'),
    sloppy('session.user.name = "Eve"'),
    sloppy('delete session.user'),
    sloppy('session.list[0].a = 9'),
    sloppy('session.list.push(9)'),
    sloppy('Object.defineProperty(session, "views", { value: 9 })'),
  ]) {
    const { visitor } = await inSession(t, async (req) => {
      await updateSession(req, (draft) => {
        Object.assign(draft, { list: Object.freeze([{ a: 1 }]) });
      });
      return assign(req);
    });
    assert.match((await visitor.get('/')).json.error, /read only: change it with updateSession/);
  }
});

const sloppy = (code: string) => (req: Request) =>
  runInThisContext(`(session) => { ${code} }`)(req.session);

it('the cookie of a session cannot be changed by assignment', async (t) => {
  for (const assign of [
    (req: Request) => {
      // @ts-expect-error: the cookie is read-only
      req.session.cookie.maxAge = 86_400_000;
    },
    sloppy('session.cookie.expires = new Date(0)'),
    sloppy('session.cookie.path = "/elsewhere"'),
    sloppy('session.cookie = {}'),
    sloppy('session.resetMaxAge()'),
  ]) {
    const { visitor } = await inSession(t, assign);
    const response = await visitor.get('/');
    assert.match(response.json.error ?? '', /read only/, String(assign));
    assert.deepEqual(response.headers.getSetCookie(), []);
  }
  const { visitor } = await inSession(t, async (req) => {
    const { cookie } = req.session;
    await renewSession(req, () => ({}), { persistent: true });
    return [cookie.maxAge, cookie.path, req.session.cookie.originalMaxAge];
  });
  const response = await visitor.get('/');
  assert.deepEqual(response.json.result.slice(0, 2), [null, '/']);
  assert.match(response.headers.getSetCookie().join(), /^sid=.*; Path=\/; Expires=/);
});

it('a field of a session is the same object each time it is read', async (t) => {
  const { visitor } = await inSession(t, ({ session }) => {
    const { user } = session;
    return user !== undefined && session.user === user;
  });
  assert.equal((await visitor.get('/')).json.result, true);
});

it('a copy of a session may be changed: that changes neither the session nor what is stored', async (t) => {
  const { visitor } = await inSession(t, async (req) => {
    Object.assign(req.session.toJSON(), { views: 9 });
    Object.assign(req.session.toJSON().user ?? {}, { name: 'Eve' });
    await updateSession(req, () => {});
    return [req.session.views, req.session.user?.name];
  });
  assert.deepEqual((await visitor.get('/')).json.result, [1, 'Ada']);
});

it('a change cannot set the fields that the session module keeps for itself', async (t) => {
  const own = { version: 9, createdAt: 1, lastSeenAt: 1, persistent: true, boundTo: { id: 'x' } };
  const { visitor } = await inSession(t, async (req) => {
    const { createdAt } = req.session;
    await updateSession(req, (draft) => void Object.assign(draft, own));
    const { version, lastSeenAt, persistent, boundTo } = req.session;
    return [version, req.session.createdAt === createdAt, lastSeenAt > 1, persistent, boundTo];
  });
  assert.deepEqual((await visitor.get('/')).json.result, [2, true, true, null, null]);
});

it('a method of express-session says what to call instead, at compile time and at run time', async (t) => {
  const { visitor } = await inSession(t, ({ session }) => {
    // @ts-expect-error: updateSession has stored the change
    assert.throws(() => session.save(), /nothing to save: .* To log out, call endSession/);
    // @ts-expect-error: updateSession starts from the newest session
    assert.throws(() => session.reload(() => {}), /nothing to reload: updateSession/);
    // @ts-expect-error: renewSession
    assert.throws(() => session.regenerate(() => {}), /Call renewSession/);
    // @ts-expect-error: endSession
    assert.throws(() => session.destroy(() => {}), /Call endSession/);
    // @ts-expect-error: it changes nothing
    session.touch();
    return 'all refused';
  });
  const { result, session } = (await visitor.get('/')).json;
  assert.deepEqual([result, session.views], ['all refused', 1]);
});

it('a stored session that does not fit its fields is reported with the field', async (t) => {
  const reasons: string[] = [];
  const { visitor, texts } = await inSession(t, () => {}, {
    onEvent: (event) => {
      if (event.type === 'unreadable') reasons.push(event.reason);
    },
  });
  for (const [key, text] of texts) texts.set(key, text.replace('"views":1', '"views":"many"'));
  assert.equal((await visitor.get('/')).json.session.views, 0);
  assert.deepEqual(reasons, ['views: Invalid input: expected number, received string']);
});

it('a session holds the fields that the app names, and starts with their defaults', async (t) => {
  const fields = sessionFields.extend({ todos: z.array(z.string()).default([]) });
  let todo: unknown = 'buy milk';
  const { visitor } = await inSession(
    t,
    (req) =>
      updateSession(req, (draft: SessionDraft & { todos?: unknown[] }) => {
        draft.todos?.push(todo);
      }),
    { fields },
  );
  assert.deepEqual((await visitor.get('/')).json.session.todos, ['buy milk']);
  todo = 7;
  assert.match((await visitor.get('/')).json.error, /expected string, received number/);
});

it('a field that express-session would hide is refused when the app starts, and so is one without a default', () => {
  const start = (fields: Record<string, z.ZodType>) => () =>
    sessionMiddleware({ ...OPTIONS, fields: sessionFields.extend(fields) as typeof sessionFields });
  for (const name of ['save', 'toJSON', 'cookie', 'version', 'constructor'])
    assert.throws(start({ [name]: z.string().optional() }), RegExp(`Rename .* "${name}"`));
  assert.throws(
    start({ todos: z.array(z.string()) }),
    /must be optional or have a default. todos:/,
  );
});

it('an app on Express 4, which loses errors of async handlers, is told so at its first request', async (t) => {
  const express4: typeof express = createRequire(import.meta.url)('express4');
  const app = express4();
  app.set('env', 'test'); // Express then prints no errors
  app.use(sessionMiddleware(OPTIONS));
  const site = await listen(app);
  t.after(site.close);
  const { status, text } = await httpClient(site.origin).get('/');
  assert.equal(status, 500);
  assert.match(text, /sessionMiddleware needs Express 5. On Express 4, use dropInStore/);
});

it('reads the session cookie as express-session does, whatever else is in the header', () => {
  const secrets = ['new', 'old'];
  const good = `s:id.${sign('id', 'old').slice(3)}`;
  const read = (header?: string) => readCookie(header, 'sid', secrets)?.signedBy;
  for (const header of [undefined, '', 'sid=', 'foo=sid=1', 'xsid=s:id', 'sid'])
    assert.equal(read(header), undefined, String(header));
  for (const header of [
    `sid=${good}`,
    `foo=bar;\tsid=${good}; sid=%`,
    `sid =${good}; sid=%E0%A4%A`,
  ])
    assert.equal(read(header), 1, header);
  assert.equal(read(`sid="${good}"`), 1, 'quoted');
  assert.equal(read(`sid=${encodeURIComponent(good)}`), 1, 'encoded');
  for (const header of ['sid=%', 'sid=s:id.forged', 'sid=unsigned'])
    assert.equal(read(header), -1, header);
});
