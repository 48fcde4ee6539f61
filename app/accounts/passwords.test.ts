import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import bcrypt from 'bcrypt';
import fc from 'fast-check';
import { demoAccounts } from '../../config/demo-data.ts';
import { hashPassword, requireGoodPassword, verifyPassword } from './passwords.ts';

const NOBODY = { name: '', email: '' };

it('stores the demo passwords as bcrypt hashes at cost 12', () => {
  for (const { passwordHash } of demoAccounts) assert.match(passwordHash, /^\$2b\$12\$/);
});

it('accepts the demo passwords that the log-in page shows', async () => {
  for (const { password, passwordHash } of demoAccounts)
    assert.equal(await verifyPassword(password, passwordHash), true);
});

it('refuses passwords that bcrypt would truncate: 72 bytes do not match a longer password', async () => {
  const longest = 'x'.repeat(72);
  const hash = await bcrypt.hash(longest, 4);
  assert.equal(await verifyPassword(longest, hash), true);
  assert.equal(await verifyPassword(`${longest}tail`, hash), false);
  const short = await bcrypt.hash('P', 4);
  assert.equal(await verifyPassword('P\0P', short), false);
});

it('accepts any new password of at least 15 characters and at most 72 bytes', () => {
  const anything = fc.string({ unit: 'binary', minLength: 15, maxLength: 30 }).filter((text) => {
    const form = text.normalize();
    return (
      Array.from(form).length >= 15 && Buffer.byteLength(form) <= 72 && !/\0|cloakroom/i.test(text)
    );
  });
  fc.assert(fc.property(anything, (password) => requireGoodPassword('password', password, NOBODY)));
  for (const good of [
    'a b c d e f g h',
    '👗'.repeat(15),
    'ü'.repeat(36),
    'correct horse battery staple',
  ])
    requireGoodPassword('password', good, { name: 'Ada', email: 'ada@gmail.com' });
});

it('refuses a new password that is too short, too long, common or contains a name, and says why', () => {
  const names = { name: 'Ada Lovelace', email: 'first.lady@example.test' };
  for (const [password, why] of [
    ['', /at least 15/],
    ['fourteen chars', /at least 15/],
    ['👗'.repeat(14), /at least 15/],
    ['x'.repeat(73), /too long: the limit is 72 bytes .* this one has 73/],
    ['ü'.repeat(37), /this one has 74/],
    ['sixteen charact\0', /NUL/],
    ['the-cloakroom-opens', /“cloakroom”/],
    ['my name is LOVELACE', /“lovelace”/],
    ['she was first here', /“first”/],
    ['ada-and-her-engine', /“ada”/],
    ['passwordpassword', /too common/],
    ['Qwerty123456789', /too common/],
  ] as const)
    assert.throws(() => requireGoodPassword('password', password, names), why, password);
});

it('accepts a password however the keyboard composes its letters', async () => {
  const composed = 'café am See im Mai'.normalize('NFC');
  const decomposed = composed.normalize('NFD');
  for (const registered of [composed, decomposed]) {
    const hash = await hashPassword(registered, 4);
    for (const typed of [composed, decomposed])
      assert.equal(await verifyPassword(typed, hash), true);
  }
});

it('accepts a decomposed password whose hash was made before passwords were normalized', async () => {
  const decomposed = 'café am See im Mai'.normalize('NFD');
  assert.equal(await verifyPassword(decomposed, await bcrypt.hash(decomposed, 4)), true);
  // 72 bytes as it was typed, and 144 normalized: the old form is the only one that bcrypt can read.
  const long = '\u0958'.repeat(24);
  for (const hash of [await bcrypt.hash(long, 4), await hashPassword(long, 4)]) {
    assert.equal(await verifyPassword(long, hash), true);
    assert.equal(await verifyPassword(`${long}\u0958`, hash), false);
  }
});

it('counts the 72 bytes of a password after it is normalized', async () => {
  const decomposed = 'é'.repeat(36).normalize('NFD');
  assert.equal(Buffer.byteLength(decomposed), 108);
  requireGoodPassword('password', decomposed, NOBODY);
  const hash = await hashPassword(decomposed, 4);
  assert.equal(await verifyPassword(decomposed, hash), true);
  assert.equal(await verifyPassword(`${decomposed}!`, hash), false);
  assert.throws(() => requireGoodPassword('password', '\u0958'.repeat(24), NOBODY), /has 144/);
});

it('does the same work for an account that does not exist', async (t) => {
  const compare = t.mock.method(bcrypt, 'compare', async () => false);
  for (const [password, times] of [
    ['plain', 1],
    ['é'.normalize('NFD'), 2],
  ] as const) {
    for (const known of [demoAccounts[0]?.passwordHash, undefined]) {
      compare.mock.resetCalls();
      assert.equal(await verifyPassword(password, known), false);
      assert.equal(compare.mock.callCount(), times);
      // bcrypt refuses any other form at once.
      for (const { arguments: args } of compare.mock.calls)
        assert.match(String(args[1]), /^\$2b\$12\$[./A-Za-z0-9]{53}$/);
    }
  }
});

it('refuses a password that contains the user’s name, in any Unicode form', () => {
  const names = { name: 'José'.normalize('NFD'), email: '' };
  assert.throws(() => requireGoodPassword('password', 'josé has an umbrella', names), /“josé”/);
});

it('refuses 3,000 common passwords that are long enough', () => {
  const file = new URL('./common-passwords.txt', import.meta.url);
  const [, list = ''] = readFileSync(file, 'utf8').split('\n');
  const common = list.split(' ');
  assert.equal(new Set(common).size, 3000);
  for (const password of common)
    assert.throws(() => requireGoodPassword('password', password, NOBODY), /too common/, password);
});
