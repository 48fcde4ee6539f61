import assert from 'node:assert/strict';
import { it } from 'node:test';
import express from 'express';
import { httpClient } from '../../test-support/http-client.ts';
import { listen } from '../../test-support/listen.ts';
import {
  CookieUndeliverable,
  SessionGone,
  StoreUnavailable,
  TooManyConflicts,
} from '../session/errors.ts';

it('the error handler of Express itself answers session errors with the right status', async (t) => {
  const app = express();
  app.set('env', 'test'); // so that Express prints no errors
  const expected = [
    [new SessionGone(), 409, null],
    [new TooManyConflicts(), 503, '1'],
    [new StoreUnavailable(), 503, '2'],
    [new CookieUndeliverable(), 400, null],
  ] as const;
  for (const [error] of expected)
    app.get(`/${error.name}`, () => {
      throw error;
    });
  const site = await listen(app);
  t.after(site.close);
  for (const [error, status, retryAfter] of expected) {
    const response = await httpClient(site.origin).get(`/${error.name}`);
    assert.deepEqual([response.status, response.headers.get('retry-after')], [status, retryAfter]);
  }
});

it('SessionGone has a default message', () => {
  assert.equal(String(new SessionGone()), 'SessionGone: The session has ended or has a new id');
});
