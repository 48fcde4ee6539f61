import assert from 'node:assert/strict';
import { it } from 'node:test';
import { colour } from './highlight.ts';

it('tells keys, texts, numbers, words and comments from what lies between', () => {
  assert.deepEqual(colour('{"a": [1, "b\\"", true]}'), [
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
  assert.deepEqual(colour('/* a */ return `1`; // const'), [
    ['comment', '/* a */'],
    ['', ' '],
    ['word', 'return'],
    ['', ' '],
    ['text', '`1`'],
    ['', '; '],
    ['comment', '// const'],
  ]);
});
