import assert from 'node:assert/strict';
import { it } from 'node:test';
import { highlight } from './highlight.ts';

it('distinguishes keys, strings, numbers, keywords and comments from everything else', () => {
  assert.deepEqual(highlight('{"a": [1, "b\\"", true]}'), [
    ['', '{'],
    ['key', '"a"'],
    ['', ': ['],
    ['number', '1'],
    ['', ', '],
    ['text', '"b\\""'],
    ['', ', '],
    ['word', 'true'],
    ['', ']}'],
  ]);
  assert.deepEqual(highlight('/* a */ return `1`; // const'), [
    ['comment', '/* a */'],
    ['', ' '],
    ['word', 'return'],
    ['', ' '],
    ['text', '`1`'],
    ['', '; '],
    ['comment', '// const'],
  ]);
});
