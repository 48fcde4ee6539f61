import assert from 'node:assert/strict';
import { it } from 'node:test';
import bcrypt from 'bcrypt';
import { demoAccounts } from '../../config/demo-data.ts';
import { verifyPassword } from './passwords.ts';

it('keeps the demo passwords by bcrypt at cost 12', () => {
  for (const { passwordHash } of demoAccounts) assert.match(passwordHash, /^\$2b\$12\$/);
});

it('knows each demo account by the password that the log-in page shows', async () => {
  for (const { password, passwordHash } of demoAccounts)
    assert.equal(await verifyPassword(password, passwordHash), true);
});

it('refuses what bcrypt would cut: 72 bytes and any tail are not the same password', async () => {
  const longest = 'x'.repeat(72);
  const hash = await bcrypt.hash(longest, 12);
  assert.equal(await verifyPassword(longest, hash), true);
  assert.equal(await verifyPassword(`${longest}tail`, hash), false);
  const short = await bcrypt.hash('P', 12);
  assert.equal(await verifyPassword('P\0P', short), false);
});

it('does the same work for an account that does not exist', async () => {
  const hash = await bcrypt.hash('a password', 12);
  const time = async (known: string | undefined) => {
    const started = performance.now();
    assert.equal(await verifyPassword('wrong', known), false);
    return performance.now() - started;
  };
  const ratios = [];
  for (let round = 0; round < 5; round++) ratios.push((await time(undefined)) / (await time(hash)));
  const median = ratios.toSorted((a, b) => a - b)[2] ?? 0;
  assert.ok(median > 0.7 && median < 1.4, `median of the ratios ${median.toFixed(2)}`);
});
