import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { memoryBackend } from '../session/index.ts';
import { createDocuments } from '../storage/documents.ts';
import {
  createAccounts,
  identityOf,
  isLoggedIn,
  MOST_SESSIONS,
  newAccount,
  withSession,
} from './accounts.ts';

const ADA = { id: '1', email: 'ada@cloakroom.test', name: 'Ada', passwordHash: 'x' };
const documents = memoryBackend();
const accounts = (demo = [ADA]) => createAccounts(createDocuments(documents), demo);
const account = async () => (await accounts().find(ADA.email)) ?? assert.fail();
const MINUTE = 60_000;
const at = (minutes: number) => ({ at: minutes * MINUTE, device: 'A browser', address: '::1' });

it('at most ten sessions: the eleventh log-in ends the one idle longest, whenever it began', async () => {
  const idle = fc.uniqueArray(fc.integer({ min: 1, max: 500 }), {
    minLength: MOST_SESSIONS,
    maxLength: MOST_SESSIONS,
  });
  const start = await account();
  fc.assert(
    fc.property(idle, (usedAt) => {
      const seen = new Map(usedAt.map((minutes, n) => [`s${n}`, minutes * MINUTE]));
      let full: Parameters<typeof withSession>[0] = start;
      for (let n = 0; n < MOST_SESSIONS; n++) full = withSession(full, `s${n}`, at(n), seen);
      assert.equal(Object.keys(full.sessions).length, MOST_SESSIONS);
      const more = withSession(full, 'new', at(1000), seen);
      const longest = `s${usedAt.indexOf(Math.min(...usedAt))}`;
      const ended = Object.keys(full.sessions).filter((handle) => !isLoggedIn(more, handle));
      assert.deepEqual(ended, [longest]);
      assert.equal(Object.keys(more.sessions).length, MOST_SESSIONS);
    }),
  );
});

it('a browser that logs in again takes no room: nine others stay, and its old session until the next log-in', async () => {
  const handles = Array.from({ length: MOST_SESSIONS }, (_, n) => `s${n}`);
  const seen = new Map(handles.map((handle, n) => [handle, at(n + 1).at]));
  const full = handles.reduce(
    (each, handle) => withSession(each, handle, at(1), seen),
    await account(),
  );
  const again = withSession(full, 'again', at(30), seen, 's9');
  assert.deepEqual(Object.keys(again.sessions).toSorted(), ['again', ...handles].toSorted());
  // Requests of the old one are under way: they are not a guest's.
  assert.ok(isLoggedIn(again, 's9'));
  const next = withSession(again, 'next', at(31));
  assert.equal(isLoggedIn(next, 's9'), false);
});

it('a session that is over leaves the account at the next log-in; one that has just begun stays', async () => {
  const one = withSession(await account(), 'over', at(0));
  const two = withSession(one, 'just begun', at(59.5));
  const three = withSession(two, 'new', at(60));
  assert.deepEqual(Object.keys(three.sessions).toSorted(), ['just begun', 'new']);
});

it('an address has one account, however it is written', async () => {
  const make = (email: string) =>
    accounts().create(newAccount({ ...identityOf(email, ' Eve '), passwordHash: 'x' }));
  const eve = await make(' Eve@Example.test ');
  assert.deepEqual([eve?.email, eve?.name], ['eve@example.test', 'Eve']);
  assert.equal(await make('EVE@example.test'), undefined);
  assert.equal(await make(ADA.email), undefined);
  assert.equal((await accounts().find('eve@EXAMPLE.test'))?.id, eve?.id);
});

it('no email address, or no name, is refused', () => {
  for (const email of ['', 'eve', 'eve@', '@x.test', 'e ve@x.test', `${'e'.repeat(250)}@x.test`])
    assert.throws(() => identityOf(email, 'Eve'), /^Refusal|email must/, email);
  for (const name of ['', '  ', 'x'.repeat(81), 'two\nlines', 'nul\0'])
    assert.throws(() => identityOf('eve@x.test', name), /name must/, name);
  assert.equal(identityOf('eve@x.test', 'Ève de l’Été 🧥').name, 'Ève de l’Été 🧥');
});

it("the demo's accounts are shut where there is no demo, even if they were changed before", async () => {
  const ada = await account();
  await accounts().change(ada, (current) => withSession(current, 's', at(0)));
  assert.ok(isLoggedIn(await account(), 's'));
  assert.equal(await accounts([]).find(ADA.email), undefined);
});
