import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { newAccount } from './accounts.ts';
import { isLoggedIn, MAX_SESSIONS, withSession } from './logged-in-sessions.ts';

const account = newAccount({ id: '1', email: 'a@b.test', name: 'A', passwordHash: 'x' });
const MINUTE = 60_000;
const at = (minutes: number) => ({ at: minutes * MINUTE, device: 'A browser', address: '::1' });

it('allows ten sessions: the eleventh log-in ends the one that has been idle longest, not the oldest', async () => {
  const idle = fc.uniqueArray(fc.integer({ min: 1, max: 500 }), {
    minLength: MAX_SESSIONS,
    maxLength: MAX_SESSIONS,
  });
  fc.assert(
    fc.property(idle, (usedAt) => {
      const stored = new Map(
        usedAt.map((minutes, n) => [`s${n}`, { lastSeenAt: minutes * MINUTE }]),
      );
      let full: Parameters<typeof withSession>[0] = account;
      for (let n = 0; n < MAX_SESSIONS; n++) full = withSession(full, `s${n}`, at(n), stored);
      assert.equal(Object.keys(full.sessions).length, MAX_SESSIONS);
      const more = withSession(full, 'new', at(1000), stored);
      const longest = `s${usedAt.indexOf(Math.min(...usedAt))}`;
      const ended = Object.keys(full.sessions).filter((handle) => !isLoggedIn(more, handle));
      assert.deepEqual(ended, [longest]);
      assert.equal(Object.keys(more.sessions).length, MAX_SESSIONS);
    }),
  );
});

it('keeps nine other sessions when a browser logs in again, and its old one until the next log-in', async () => {
  const handles = Array.from({ length: MAX_SESSIONS }, (_, n) => `s${n}`);
  const stored = new Map(handles.map((handle, n) => [handle, { lastSeenAt: at(n + 1).at }]));
  const full = handles.reduce((each, handle) => withSession(each, handle, at(1), stored), account);
  const again = withSession(full, 'again', at(30), stored, 's9');
  assert.deepEqual(Object.keys(again.sessions).toSorted(), ['again', ...handles].toSorted());
  assert.ok(isLoggedIn(again, 's9'));
  const next = withSession(again, 'next', at(31));
  assert.equal(isLoggedIn(next, 's9'), false);
});

it('drops an ended session at the next log-in, but not one that has just begun', async () => {
  const one = withSession(account, 'ended', at(0));
  const two = withSession(one, 'just begun', at(59.5));
  const three = withSession(two, 'new', at(60));
  assert.deepEqual(Object.keys(three.sessions).toSorted(), ['just begun', 'new']);
});
