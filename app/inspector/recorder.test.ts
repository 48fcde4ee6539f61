import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { it } from 'node:test';
import type { Request, Response } from 'express';
import { createRecorder } from './recorder.ts';

const MINUTES = 60_000;

const response = () => new EventEmitter() as Response;

it('records from the first X-ray until half an hour after the last one', () => {
  let time = 0;
  const recorder = createRecorder({ alwaysOn: false, now: () => time });
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
  const recall = () => recorder.recall({ sessionID: 'one' } as Request).map(({ path }) => path);

  assert.equal(request('/asleep'), false);
  assert.deepEqual(recall(), []);
  time = 29 * MINUTES;
  assert.equal(request('/awake'), true);
  assert.deepEqual(recall(), ['/awake']);
  time = 58 * MINUTES;
  assert.equal(request('/still awake'), true);
  assert.deepEqual(recall(), ['/still awake', '/awake']);
  time = 89 * MINUTES;
  assert.equal(request('/asleep again'), false);
  // The requests before the gap are not the last ones.
  assert.deepEqual(recall(), []);
});

it('reads an event only when it records it: not while asleep, and not beyond sixty steps', () => {
  let reads = 0;
  const touched = {
    get type() {
      reads += 1;
      return 'touched' as const;
    },
  };
  const recorder = createRecorder({ alwaysOn: false });
  const req = { method: 'GET', path: '/', sessionID: 'one' } as Request;
  const request = () =>
    recorder.middleware(req, response(), () => {
      for (let n = 0; n < 100; n++) recorder.onEvent(touched);
    });
  request();
  assert.equal(reads, 0);
  recorder.recall(req);
  request();
  assert.equal(reads, 60);
});

it('never sleeps when it is always on, not even half an hour after an X-ray', () => {
  let time = 0;
  const recorder = createRecorder({ now: () => time });
  recorder.recall({ sessionID: 'one' } as Request);
  time = 31 * MINUTES;
  recorder.middleware({ method: 'GET', path: '/' } as Request, response(), () => {
    assert.ok(recorder.currentRequest());
  });
});
