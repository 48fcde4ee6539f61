import assert from 'node:assert/strict';
import { it } from 'node:test';
import { memoryBackend } from '../session/index.ts';
import { createDocuments } from '../storage/documents.ts';
import { checkedIdentity, createAccounts, newAccount } from './accounts.ts';
import { isLoggedIn, withSession } from './logged-in-sessions.ts';

const ADA = { id: '1', email: 'ada@cloakroom.test', name: 'Ada', passwordHash: 'x' };
const documents = memoryBackend();
const accounts = (demo = [ADA]) => createAccounts(createDocuments(documents), demo);

it('gives an address one account, however it is capitalized', async () => {
  const make = (email: string) =>
    accounts().create(newAccount({ ...checkedIdentity(email, ' Eve '), passwordHash: 'x' }));
  const eve = await make(' Eve@Example.test ');
  assert.deepEqual([eve?.email, eve?.name], ['eve@example.test', 'Eve']);
  assert.equal(await make('EVE@example.test'), undefined);
  assert.equal(await make(ADA.email), undefined);
  assert.equal((await accounts().find('eve@EXAMPLE.test'))?.id, eve?.id);
});

it('refuses a bad email address or a bad name', () => {
  for (const email of ['', 'eve', 'eve@', '@x.test', 'e ve@x.test', `${'e'.repeat(250)}@x.test`])
    assert.throws(() => checkedIdentity(email, 'Eve'), /^Refusal|email must/, email);
  for (const name of ['', '  ', '\u200d', '\u3164', 'x'.repeat(81)])
    assert.throws(() => checkedIdentity('eve@x.test', name), /name must have 1 to 80/, name);
});

it('accepts the names that people have, in every script', () => {
  for (const name of [
    'Ève de l’Été 🧥',
    'علی\u200cرضا', // Persian: the non-joiner shapes the letters
    'ශ්\u200dරී', // Sinhala: the joiner makes one letter of two
    '👩\u200d🚀 Ada',
    'Ada 🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}',
    'Eve \u{1f9ff}\u{1fbff}', // not assigned yet
    'דנה\u200f',
  ])
    assert.equal(checkedIdentity('eve@x.test', name).name, name);
});

it('refuses a name with a control or a bidi override, and says which character it is', () => {
  for (const [name, why] of [
    ['two\nlines', /name must not contain U\+000A, a control character\.$/],
    ['nul\0', /U\+0000, a control character/],
    ['two\u2028lines', /U\+2028, a line break/],
    ['half \ud83e', /U\+D83E, half a character/],
    ['Eve\u202egnp.exe', /U\+202E, which changes the direction of the text/],
    ['\u2066Eve', /U\+2066, which changes the direction of the text/],
  ] as const)
    assert.throws(() => checkedIdentity('eve@x.test', name), why, name);
});

it('hides a stored demo account when the demo is off', async () => {
  const find = async () => (await accounts().find(ADA.email)) ?? assert.fail();
  const logIn = { at: Date.now(), device: 'A browser', address: '::1' };
  await accounts().change(await find(), (current) => withSession(current, 's', logIn));
  assert.ok(isLoggedIn(await find(), 's'));
  assert.equal(await accounts([]).find(ADA.email), undefined);
});
