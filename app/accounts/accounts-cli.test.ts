import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { after, before, it } from 'node:test';
import { cheapPasswords } from '../../test-support/start-server.ts';
import { ADA, PAGE, type Shop, startShop } from '../../test-support/start-shop.ts';
import { onEachStore } from '../../test-support/stores.ts';
import { memoryBackend } from '../session/index.ts';
import { createDocuments } from '../storage/documents.ts';
import { createAccounts } from './accounts.ts';

const NEXT = 'an umbrella, a hat, a coat';

/** Not spawnSync: it would block this process and its own connection to the database. */
async function command(url: string | undefined, ...args: string[]) {
  const env = { ...process.env, ...cheapPasswords, DATABASE_URL: url };
  const file = new URL('accounts-cli.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [file, ...args], { env });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { status: child.exitCode ?? (await once(child, 'exit'))[0], stdout, stderr };
}

onEachStore(
  'npm run accounts',
  (store) => {
    let shop: Shop;
    before(async () => {
      shop = await startShop(memoryBackend(), { documents: store.documents });
    });
    after(() => shop.close());
    const runAccounts = (...args: string[]) => command(store.url, ...args);
    const logIn = async (json: { email: string; password: string }) => {
      const visitor = shop.visitor();
      const { status } = await visitor.post('/login', { json });
      return { visitor, status };
    };
    const isIn = async (visitor: Awaited<ReturnType<typeof logIn>>['visitor']) =>
      (await visitor.get('/account')).status === 200;

    it('adds an account with a temporary password, which must be changed at the first log-in', async () => {
      const { status, stdout, stderr } = await runAccounts('add', 'New@Example.test', 'New Person');
      assert.equal(status, 0);
      assert.match(stderr, /^The database is (\/.*\.db|\w+:\/\/[^@]*)$/m);
      const [, password = ''] =
        /^new@example\.test was added\. Password: (\S{20})$/m.exec(stdout) ?? [];
      const { visitor } = await logIn({ email: 'new@example.test', password });
      assert.equal((await visitor.get('/')).status, 403);
      const page = await visitor.get('/', PAGE);
      assert.deepEqual([page.status, page.headers.get('location')], [303, '/account/password']);
      assert.match((await visitor.get('/account/password', PAGE)).text, /choose one of your own/);
      const json = { currentPassword: password, newPassword: NEXT };
      assert.equal((await visitor.post('/account/password', { json })).status, 200);
      assert.equal((await visitor.get('/')).status, 200);
      assert.equal((await runAccounts('add', 'new@example.test', 'Other')).status, 1);
    });

    it('disables and enables an account and ends sessions, from the next request on', async () => {
      const [ada, other] = [
        await logIn(ADA),
        await logIn({ email: 'new@example.test', password: NEXT }),
      ];
      assert.equal((await runAccounts('disable', ADA.email)).status, 0);
      assert.deepEqual([await isIn(ada.visitor), await isIn(other.visitor)], [false, true]);
      assert.equal((await logIn(ADA)).status, 403);
      assert.match(
        (await runAccounts('list')).stdout,
        /^ada@cloakroom\.test\tAda\tdisabled\tsessions: at most 0$/m,
      );
      assert.equal((await runAccounts('enable', ADA.email)).status, 0);
      const again = await logIn(ADA);
      assert.equal(again.status, 200);
      assert.equal((await runAccounts('end-sessions', ADA.email)).status, 0);
      assert.deepEqual([await isIn(again.visitor), await isIn(other.visitor)], [false, true]);
      assert.match(
        (await runAccounts('list')).stdout,
        /^new@example\.test\tNew Person\tenabled\tsessions: at most 2$/m,
      );
      const both = await logIn(ADA);
      assert.equal((await runAccounts('end-sessions', '--all')).status, 0);
      assert.deepEqual([await isIn(both.visitor), await isIn(other.visitor)], [false, false]);
    });

    // The rest does not depend on the database.
    if (store.name !== 'SQLite') return;

    it('replaces a temporary password that was never changed', async () => {
      const email = 'lost@example.test';
      const add = async () =>
        /Password: (\S+)$/m.exec((await runAccounts('add', email, 'Lost')).stdout)?.[1] ?? '';
      const [first, second] = [await add(), await add()];
      assert.equal((await logIn({ email, password: first })).status, 403);
      assert.equal((await logIn({ email, password: second })).status, 200);
    });

    it('accepts a temporary password for a week', async () => {
      const email = 'late@example.test';
      const [, password = ''] =
        /Password: (\S+)$/m.exec((await runAccounts('add', email, 'Late')).stdout) ?? [];
      const accounts = createAccounts(createDocuments(store.documents));
      const late = (await accounts.find(email)) ?? assert.fail();
      const daysLeft = ((late.passwordExpiresAt ?? 0) - Date.now()) / (24 * 3_600_000);
      assert.ok(daysLeft > 6.9 && daysLeft <= 7, `${daysLeft} days`);
      await accounts.change(late, (now) => ({ ...now, passwordExpiresAt: Date.now() - 1 }));
      assert.equal((await logIn({ email, password })).status, 403);
    });

    it('names the mistake, and changes nothing', async () => {
      for (const args of [
        ['disable', 'nobody@x.test'],
        ['disable', '--all'],
        ['add', 'x', 'X'],
      ])
        assert.equal((await runAccounts(...args)).status, 1, args.join());
    });
  },
  ['SQLite', 'PostgreSQL', 'MariaDB'],
);

it('prints its usage for a command that is incomplete or unknown', async () => {
  for (const args of [[], ['drop'], ['add', 'x@x.test'], ['list', 'x'], ['disable']]) {
    const { status, stdout, stderr } = await command(undefined, ...args);
    assert.deepEqual([status, stdout], [2, ''], args.join());
    assert.match(stderr, /npm run accounts -- list/);
  }
});

it('says that it cannot open the database', async () => {
  const { status, stdout, stderr } = await command('sqlite:/nowhere/shop.db', 'list');
  assert.deepEqual([status, stdout], [1, '']);
  assert.match(stderr, /DATABASE_URL names a file in "\/nowhere", which cannot be opened/);
});
