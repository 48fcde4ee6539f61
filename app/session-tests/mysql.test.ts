import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { createPool } from 'mysql2/promise';
import { startRelay } from '../../test-support/relay.ts';
import { testOutages } from '../../test-support/store-failures.ts';
import { serverOf } from '../../test-support/stores.ts';
import { until } from '../../test-support/until.ts';
import { MYSQL_SCHEMA, type MysqlPool, mysqlBackend } from '../session/stores/mysql.ts';
import { openDatabase } from '../storage/open-stores.ts';

import '../../test-support/only-mariadb.ts';
import './session-contract.test.ts';
import './drop-in-store.test.ts';

testOutages('MariaDB', { keepsRecords: true });

/** A connection for the test, and a function that opens backends. */
async function connections(t: TestContext) {
  const { url } = await serverOf('MariaDB');
  const pools = [createPool(url)];
  t.after(() => Promise.all(pools.map((pool) => pool.end())));
  const own = await pools[0]?.getConnection();
  assert.ok(own);
  await own.query(MYSQL_SCHEMA);
  await own.query('delete from records');
  const open = () => {
    const pool = createPool(url);
    pools.push(pool);
    return mysqlBackend(pool);
  };
  const count = async () => (await own.query<never[]>('select version from records'))[0].length;
  return { own, open, count };
}

it('processes that start at the same moment create the table once', async (t) => {
  const { own, open } = await connections(t);
  await own.query('drop table records');
  const backends = Array.from({ length: 8 }, open);
  await Promise.all(backends.map(({ get }) => get('coat')));
});

it('accepts keys of at most 255 bytes, and distinguishes two that differ only in a trailing space', async (t) => {
  const backend = (await connections(t)).open();
  for (const key of ['coat', 'coat ', 'é'.repeat(125)])
    assert.equal(await backend.compareAndSet(key, 0, { version: 1 }), true, key);
  await assert.rejects(
    backend.compareAndSet('é'.repeat(126), 0, { version: 1 }),
    /keys of at most 255 bytes/,
  );
});

it('only expired rows are deleted, every minute in the background, by one process at a time', async (t) => {
  const { own, open, count } = await connections(t);
  await own.query(`insert into records select seq, 1, '{}',
    utc_timestamp() + interval (cast(seq as signed) - 2500) hour from seq_1_to_2502`);
  await own.query("select get_lock('records sweep', 0)");
  t.mock.timers.enable({ apis: ['setInterval'] });
  const backends = [open(), open()];
  const answers = () => Promise.all(backends.map(({ get }) => get('x')));
  await answers();
  t.mock.timers.tick(60_000);
  await answers();
  assert.equal(await count(), 2502);
  await own.query("select release_lock('records sweep')");
  t.mock.timers.tick(60_000);
  await until(async () => (await count()) === 2, 'deleted');
});

it('a write that MySQL rolled back because of a deadlock runs again', async (t) => {
  await connections(t);
  const { url } = await serverOf('MariaDB');
  const pool = createPool(url);
  t.after(() => pool.end());
  let deadlocks = 3;
  const unlucky: MysqlPool = {
    getConnection: async () => {
      const connection = await pool.getConnection();
      const execute = async (sql: string, values: (string | number | null)[]) => {
        if (deadlocks-- > 0) throw Object.assign(new Error(), { code: 'ER_LOCK_DEADLOCK' });
        return connection.execute(sql, values);
      };
      const release = () => connection.release();
      return { execute, release, destroy: () => connection.destroy() };
    },
  };
  assert.equal(await mysqlBackend(unlucky).compareAndSet('coat', 0, { version: 1 }), true);
});

it('the shop can close its connections while a statement waits on a silent one', async (t) => {
  const { url } = await serverOf('MariaDB');
  const { port, hostname: host } = new URL(url);
  const relay = await startRelay(Number(port));
  t.after(relay.stop);
  const throughRelay = url.replace(port, String(relay.port));
  const store = await openDatabase({ kind: 'mysql', url: throughRelay, host }, () => {});
  await store.check();
  relay.silence();
  const silent = assert.rejects(
    store.backend('sess:').get('coat'),
    /no answer from MySQL within 3 s/,
  );
  await setImmediate();
  await store.close();
  await silent;
});
