import assert from 'node:assert/strict';
import { it } from 'node:test';
import { z } from 'zod';
import { DOCUMENT_STORES, onEachStore } from '../../test-support/stores.ts';
import {
  memoryBackend,
  newSessionId,
  StoreUnavailable,
  TooManyConflicts,
} from '../session/index.ts';
import { createDocuments, type DocumentBackend } from './documents.ts';

it('a change fails with TooManyConflicts after a hundred conflicts, and changes nothing', async () => {
  const memory = memoryBackend();
  let attempts = 0;
  const overtaken: DocumentBackend = {
    get: memory.get,
    compareAndSet: async () => ++attempts > 110,
  };
  const counters = createDocuments(overtaken)('counter', { count: z.int() });
  const change = counters.change('x', undefined, () => ({ count: 1 }));
  await assert.rejects(change, TooManyConflicts);
  assert.equal(attempts, 100);
});

it('a document is parsed once for each version, and no request can edit what the others get', async () => {
  const backend = memoryBackend();
  const things = createDocuments(backend)('thing', { tags: z.array(z.string()).optional() });
  await things.change('x', undefined, () => ({ tags: ['old'] }));
  const first = await things.read('x');
  assert.equal(await things.read('x'), first);
  assert.throws(() => first?.tags?.push('edited'), TypeError);

  const elsewhere = createDocuments(backend)('thing', { tags: z.array(z.string()).optional() });
  await elsewhere.change('x', first, () => ({ tags: ['new'] }));
  assert.deepEqual(await things.read('x'), { tags: ['new'], version: 2 });
});

it('only the last 500 documents are kept parsed', async () => {
  const things = createDocuments(memoryBackend())('thing', { n: z.int() });
  const ids = Array.from({ length: 501 }, (_, n) => `${n}`);
  for (const [n, id] of ids.entries()) await things.change(id, undefined, () => ({ n }));
  const documents = [];
  for (const id of ids) documents.push(await things.read(id));
  assert.equal(await things.read('500'), documents[500]);
  assert.notEqual(await things.read('0'), documents[0]);
});

onEachStore(
  'documents',
  (store) => {
    const counters = (backend: DocumentBackend = store.documents) =>
      createDocuments(backend)('counter', { count: z.int() });
    const plusOne = (current?: { count: number }) => ({ count: (current?.count ?? 0) + 1 });

    it('are created, read and changed, and each change adds 1 to the version', async () => {
      const id = newSessionId();
      assert.equal(await counters().read(id), undefined);
      assert.deepEqual(await counters().change(id, undefined, plusOne), { count: 1, version: 1 });
      const seen = await counters().read(id);
      assert.deepEqual(await counters().change(id, seen, plusOne), { count: 2, version: 2 });
      assert.deepEqual(await counters().read(id), { count: 2, version: 2 });
    });

    it('of different kinds do not collide', async () => {
      const id = newSessionId();
      await counters().change(id, undefined, plusOne);
      const others = createDocuments(store.documents)('other', { count: z.int() });
      assert.equal(await others.read(id), undefined);
    });

    it('lose none of 200 simultaneous changes by two processes, even from a stale copy', async () => {
      const id = newSessionId();
      const [one, two] = [counters(), counters()];
      await one.change(id, undefined, plusOne);
      const stale = await one.read(id);
      const changes = Array.from({ length: 200 }, (_, n) =>
        (n % 2 ? one : two).change(id, stale, plusOne),
      );
      // Each change returned a different count, so none was lost or counted twice.
      const counts = new Set((await Promise.all(changes)).map(({ count }) => count));
      assert.equal(counts.size, 200);
      assert.equal((await one.read(id))?.count, 201);
    });

    it('are changed in the end, although every attempt conflicts for 200 ms', async () => {
      const id = newSessionId();
      const until = performance.now() + 200;
      const busy: DocumentBackend = {
        get: store.documents.get,
        compareAndSet: async (...args) =>
          performance.now() >= until && store.documents.compareAndSet(...args),
      };
      assert.equal((await counters(busy).change(id, undefined, plusOne)).count, 1);
    });

    it('are created once by many simultaneous calls', async () => {
      const id = newSessionId();
      const makers = Array.from({ length: 20 }, (_, n) =>
        counters().change(id, undefined, (existing) => existing ?? { count: n }),
      );
      const made = await Promise.all(makers);
      assert.equal(new Set(made.map(({ count }) => count)).size, 1);
      assert.equal((await counters().read(id))?.version, 1);
    });

    it('are not changed when the edit throws or returns its argument', async () => {
      const id = newSessionId();
      const before = await counters().change(id, undefined, plusOne);
      const refused = counters().change(id, before, () => {
        throw new Error('refused');
      });
      await assert.rejects(refused, /refused/);
      await counters().change(id, before, (current) => current ?? assert.fail());
      assert.deepEqual(await counters().read(id), before);
    });

    it('cost no write when the edit returns its argument', async () => {
      const id = newSessionId();
      const before = await counters().change(id, undefined, plusOne);
      let writes = 0;
      const counted: DocumentBackend = {
        get: store.documents.get,
        compareAndSet: (...args) => {
          writes += 1;
          return store.documents.compareAndSet(...args);
        },
      };
      const same = counters(counted).change(id, before, (current) => current ?? assert.fail());
      assert.deepEqual([await same, writes], [before, 0]);
    });

    it('are changed even if the previous change in the queue was refused', async () => {
      const id = newSessionId();
      const documents = counters();
      const refused = documents.change(id, undefined, () => {
        throw new Error('refused');
      });
      const next = documents.change(id, undefined, plusOne);
      await assert.rejects(refused, /refused/);
      assert.equal((await next).count, 1);
    });

    it('are not overwritten when they are malformed', async () => {
      const id = newSessionId();
      for (const text of [
        '{"version":3,"count":"many"}',
        '{"count":1}',
        '{"co',
        'null',
        '0',
        '[]',
      ]) {
        await store.plantDocument(`counter:${id}`, text);
        await assert.rejects(counters().read(id), /version|count|Invalid|JSON/, text);
        await assert.rejects(
          counters().change(id, undefined, plusOne),
          /version|count|Invalid|JSON/,
          text,
        );
      }
    });

    it('are not stored in another shape', async () => {
      const id = newSessionId();
      const many = counters().change(id, undefined, () => ({ count: 'many' }) as never);
      await assert.rejects(many);
      assert.equal(await counters().read(id), undefined);
    });

    it('keep fields that only a newer version of the app knows', async () => {
      const id = newSessionId();
      const newer = { version: 1, count: 1, colour: 'red' };
      await store.documents.compareAndSet(`counter:${id}`, 0, newer);
      const edit = (current: { count: number } = { count: 0 }) => ({ ...current, count: 2 });
      await counters().change(id, undefined, edit);
      const text = JSON.parse((await store.documents.get(`counter:${id}`)) ?? '');
      assert.deepEqual(text, { version: 2, count: 2, colour: 'red' });
    });

    it('fail with StoreUnavailable when the store does', async () => {
      const down = () => Promise.reject(new Error('down'));
      const broken = counters({ get: down, compareAndSet: down });
      await assert.rejects(broken.read('x'), StoreUnavailable);
      await assert.rejects(broken.change('x', undefined, plusOne), StoreUnavailable);
    });
  },
  [...DOCUMENT_STORES, 'PostgreSQL', 'MariaDB'],
);
