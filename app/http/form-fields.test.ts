import assert from 'node:assert/strict';
import { it } from 'node:test';
import { wholeNumberField } from './form-fields.ts';

const read = (quantity: unknown, range = { min: 0, max: 99 }) =>
  wholeNumberField({ quantity }, 'quantity', range);

it('a whole number may be written in all ways that a number field accepts', () => {
  for (const [text, number] of [
    ['3', 3],
    ['02', 2],
    ['3.0', 3],
    ['3.000', 3],
    ['1e1', 10],
    ['1E+1', 10],
    ['0.3e1', 3],
    ['.3e1', 3],
    ['30e-1', 3],
    ['-0', 0],
    ['00', 0],
    [3, 3],
  ] as const)
    assert.ok(Object.is(read(text), number), String(text));
  assert.equal(read('-3', { min: -9, max: 9 }), -3);
});

it('everything else is refused: fractions, other notations, other types, and what is out of range', () => {
  for (const value of [
    ...['1.5', '5e-1', '2.9999999999999999999', '100', '-1', '1e309', '1e2', '', ' ', ' 3', '3 '],
    ...['3.', '+3', '0x10', '0b1', '1_0', 'Infinity', '-Infinity', 'NaN', '３', '3,0', 'e1', '.'],
    ...[1.5, -0, 100, Number.NaN, Number.POSITIVE_INFINITY, null, undefined, true, [3], ['3'], {}],
  ])
    assert.throws(() => read(value), /quantity must be a whole number from 0 to 99/);
});
