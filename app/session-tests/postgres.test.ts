import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import pg from 'pg';
import { testOutages } from '../../test-support/store-failures.ts';
import { serverOf } from '../../test-support/stores.ts';
import { until } from '../../test-support/until.ts';
import { POSTGRES_SCHEMA, postgresBackend } from '../session/stores/postgres.ts';

import '../../test-support/only-postgres.ts';
import './session-contract.test.ts';
import './drop-in-store.test.ts';

testOutages('PostgreSQL', { keepsRecords: true });

/** A connection of its own for the test, and a function that opens backends. */
async function connections(t: TestContext) {
  const { url } = await serverOf('PostgreSQL');
  const pools: pg.Pool[] = [];
  const client = new pg.Client(url);
  await client.connect();
  await client.query(POSTGRES_SCHEMA);
  t.after(() => Promise.all([client.end(), ...pools.map((pool) => pool.end())]));
  const open = (user = 'cloakroom') => {
    const pool = new pg.Pool({ connectionString: url.replace('cloakroom', user) });
    pools.push(pool);
    return postgresBackend(pool);
  };
  const count = async () => (await client.query('select key from records')).rowCount;
  return { client, open, count };
}

it('processes that start at the same moment create the table once', async (t) => {
  const { client, open } = await connections(t);
  for (let attempt = 0; attempt < 5; attempt++) {
    await client.query('drop table records');
    const backends = Array.from({ length: 8 }, () => open());
    await Promise.all(backends.map(({ get }) => get('coat')));
  }
});

it('an app that may not create the table uses an existing one, and says so if there is none', async (t) => {
  const { client, open } = await connections(t);
  await client.query(`drop table records; drop role if exists shop; create role shop login`);
  const backend = open('shop');
  await assert.rejects(backend.get('coat'), /permission denied for schema public/);
  await client.query(`${POSTGRES_SCHEMA} grant select, insert, update, delete on records to shop`);
  assert.equal(await backend.compareAndSet('coat', 0, { version: 1 }), true);
  assert.equal(await backend.compareAndSet('coat', 1, null), true);
});

it('a write that PostgreSQL cannot serialize runs again', async (t) => {
  const { client, open } = await connections(t);
  await client.query('create role strict superuser login');
  await client.query('alter role strict set default_transaction_isolation = serializable');
  const backend = open('strict');
  for (const version of [0, 1]) {
    const writes = Array.from({ length: 50 }, () =>
      backend.compareAndSet('scarf', version, { version: version + 1 }),
    );
    assert.equal((await Promise.all(writes)).filter(Boolean).length, 1);
  }
});

it('only expired rows are deleted, every minute in the background, by one process at a time', async (t) => {
  const { client, open, count } = await connections(t);
  await client.query(`delete from records; insert into records
    select n, 1, '{}', now() + (n - 2500) * interval '1 hour' from generate_series(1, 2502) as n`);
  await client.query('select pg_advisory_lock(7240113)');
  t.mock.timers.enable({ apis: ['setInterval'] });
  const backends = [open(), open()];
  await Promise.all(backends.map(({ get }) => get('x')));
  t.mock.timers.tick(60_000);
  await Promise.all(backends.map(({ get }) => get('x')));
  assert.equal(await count(), 2502);
  await client.query('select pg_advisory_unlock(7240113)');
  t.mock.timers.tick(60_000);
  await until(async () => (await count()) === 2, 'deleted');
});

it('a row is not deleted as expired if it is created again at that moment', async (t) => {
  const { client, open, count } = await connections(t);
  await client.query("delete from records; insert into records values ('sess:hat', 1, '', now())");
  await client.query('begin');
  await client.query("update records set expires_at = now() + interval '1 hour'");
  open(); // it deletes expired rows at once, and has to wait for the row
  const waits = 'select 1 from pg_locks where not granted';
  await until(async () => (await client.query(waits)).rowCount === 1, 'waiting');
  await client.query('commit');
  const runs = `select 1 from pg_stat_activity where state = 'active' and query like 'with turn%'`;
  await until(async () => (await client.query(runs)).rowCount === 0, 'done');
  assert.equal(await count(), 1);
});
