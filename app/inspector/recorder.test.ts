import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { it } from 'node:test';
import type { Request, Response } from 'express';
import { createRecorder } from './recorder.ts';

const MINUTES = 60_000;

const response = () => new EventEmitter() as Response;

it('sleeps until somebody looks, and again half an hour after the last look', () => {
  let time = 0;
  const recorder = createRecorder({ always: false, now: () => time });
  const session = { version: 1 };
  const request = (path: string) => {
    const req = { method: 'GET', path, sessionID: 'one', session } as unknown as Request;
    const res = response();
    let recorded = false;
    recorder.middleware(req, res, () => {
      recorded = recorder.currentRequest() !== undefined;
    });
    res.emit('close');
    return recorded;
  };
  const look = () => recorder.recall({ sessionID: 'one' } as Request).map(({ path }) => path);

  assert.equal(request('/asleep'), false);
  assert.deepEqual(look(), []);
  time = 29 * MINUTES;
  assert.equal(request('/awake'), true);
  assert.deepEqual(look(), ['/awake']);
  time = 58 * MINUTES;
  assert.equal(request('/still awake'), true);
  assert.deepEqual(look(), ['/still awake', '/awake']);
  time = 89 * MINUTES;
  assert.equal(request('/asleep again'), false);
  // What was before the gap is not shown as the last requests.
  assert.deepEqual(look(), []);
});

it('looks at what happens only while it writes that down: not asleep, nor beyond sixty steps', () => {
  let looks = 0;
  const touched = {
    get type() {
      looks += 1;
      return 'touched' as const;
    },
  };
  const recorder = createRecorder({ always: false });
  const req = { method: 'GET', path: '/', sessionID: 'one' } as Request;
  const request = () =>
    recorder.middleware(req, response(), () => {
      for (let n = 0; n < 100; n++) recorder.onEvent(touched);
    });
  request();
  assert.equal(looks, 0);
  recorder.recall(req);
  request();
  assert.equal(looks, 60);
});

it('never sleeps where it records from the start, not even half an hour after a look', () => {
  let time = 0;
  const recorder = createRecorder({ now: () => time });
  recorder.recall({ sessionID: 'one' } as Request);
  time = 31 * MINUTES;
  recorder.middleware({ method: 'GET', path: '/' } as Request, response(), () => {
    assert.ok(recorder.currentRequest());
  });
});
