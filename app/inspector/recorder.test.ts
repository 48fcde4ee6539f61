import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createRecorder } from './recorder.ts';

it('sleeps until somebody looks, and again half an hour after the last look', () => {
  let time = 0;
  const recorder = createRecorder({ always: false, now: () => time });
  const records = () => {
    const res = { locals: {} };
    recorder.middleware({ method: 'GET', path: '/' } as never, res as never, () => {});
    return 'recording' in res.locals;
  };
  const minutes = 60_000;
  assert.equal(records(), false);
  recorder.recall({ sessionID: 'somebody' } as never);
  time = 29 * minutes;
  assert.equal(records(), true);
  recorder.recall({ sessionID: 'somebody else' } as never);
  time = 58 * minutes;
  assert.equal(records(), true);
  time = 60 * minutes;
  assert.equal(records(), false);
});
