import assert from 'node:assert/strict';
import { it } from 'node:test';
import { memoryBackend } from '../session/index.ts';
import { createDocuments } from '../storage/documents.ts';
import { createAccounts, identityOf, newAccount } from './accounts.ts';
import { isLoggedIn, withSession } from './logged-in-sessions.ts';

const ADA = { id: '1', email: 'ada@cloakroom.test', name: 'Ada', passwordHash: 'x' };
const documents = memoryBackend();
const accounts = (demo = [ADA]) => createAccounts(createDocuments(documents), demo);

it('gives an address one account, in upper or lower case', async () => {
  const make = (email: string) =>
    accounts().create(newAccount({ ...identityOf(email, ' Eve '), passwordHash: 'x' }));
  const eve = await make(' Eve@Example.test ');
  assert.deepEqual([eve?.email, eve?.name], ['eve@example.test', 'Eve']);
  assert.equal(await make('EVE@example.test'), undefined);
  assert.equal(await make(ADA.email), undefined);
  assert.equal((await accounts().find('eve@EXAMPLE.test'))?.id, eve?.id);
});

it('refuses a bad email address or a bad name', () => {
  for (const email of ['', 'eve', 'eve@', '@x.test', 'e ve@x.test', `${'e'.repeat(250)}@x.test`])
    assert.throws(() => identityOf(email, 'Eve'), /^Refusal|email must/, email);
  for (const name of ['', '  ', 'x'.repeat(81), 'two\nlines', 'nul\0'])
    assert.throws(() => identityOf('eve@x.test', name), /name must/, name);
  assert.equal(identityOf('eve@x.test', 'Ève de l’Été 🧥').name, 'Ève de l’Été 🧥');
});

it('hides a stored demo account when the demo is off', async () => {
  const find = async () => (await accounts().find(ADA.email)) ?? assert.fail();
  const logIn = { at: Date.now(), device: 'A browser', address: '::1' };
  await accounts().change(await find(), (current) => withSession(current, 's', logIn));
  assert.ok(isLoggedIn(await find(), 's'));
  assert.equal(await accounts([]).find(ADA.email), undefined);
});
