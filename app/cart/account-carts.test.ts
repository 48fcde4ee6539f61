import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { merge, unmerge, withoutOrder } from './account-carts.ts';
import { type Cart, countItems, MAX_QUANTITY, minus, plus, quantityOf } from './cart.ts';

const sku = fc.constantFrom('bowler-hat', 'wool-beret', 'camel-overcoat', '__proto__', 'toString');
const lines = fc
  .array(fc.tuple(sku, fc.integer({ min: 1, max: MAX_QUANTITY })))
  .map((entries): Cart => Object.fromEntries(entries));
const cart = lines.map((content) => ({ lines: content, orderId: 'first', merged: {}, version: 0 }));
const skus = (...carts: Cart[]) => [...new Set(carts.flatMap((each) => Object.keys(each)))];
/** A cart with its lines sorted, so that their order does not matter. */
const content = (each: Cart) => Object.fromEntries(Object.entries(each).toSorted());

describe('the lines of a guest, at log-in,', () => {
  it('are added to those of the account, to at most 99 of one product', () => {
    fc.assert(
      fc.property(cart, lines, (account, guest) => {
        const after = merge(account, 'session', guest).lines;
        for (const name of skus(account.lines, guest)) {
          const sum = quantityOf(account.lines, name) + quantityOf(guest, name);
          assert.equal(quantityOf(after, name), Math.min(sum, MAX_QUANTITY));
        }
        assert.deepEqual(skus(after).toSorted(), skus(account.lines, guest).toSorted());
      }),
    );
  });

  it('are added once for each session, even if a merge is repeated', () => {
    fc.assert(
      fc.property(cart, lines, lines, (account, guest, other) => {
        const once = merge(merge(account, 'session', guest), 'other', other);
        assert.equal(merge(once, 'session', guest), once);
      }),
    );
  });

  it('are removed by Undo, which leaves the rest and cannot be applied twice', () => {
    fc.assert(
      fc.property(cart, lines, (account, guest) => {
        const undone = unmerge(merge(account, 'session', guest), 'session');
        assert.deepEqual(content(undone.lines), content(account.lines));
        assert.deepEqual(unmerge(undone, 'session').lines, undone.lines);
        assert.deepEqual(merge(undone, 'session', guest).lines, undone.lines);
        assert.deepEqual(unmerge(account, 'another').lines, account.lines);
      }),
    );
  });

  it('are remembered for the last ten log-ins', () => {
    const many = Array.from({ length: 30 }, (_, n) => `s${n}`);
    const start = { lines: {}, orderId: 'first', merged: {}, version: 0 };
    const after = many.reduce((each, handle) => merge(each, handle, { 'bowler-hat': 1 }), start);
    assert.deepEqual(Object.keys(after.merged), many.slice(-10));
  });
});

it('an order removes the ordered items; items added meanwhile stay, and earlier merges can no longer be undone', () => {
  fc.assert(
    fc.property(cart, lines, lines, (account, guest, added) => {
      const ordered = merge(account, 'session', guest);
      const meanwhile = { ...ordered, lines: plus(ordered.lines, added) };
      const after = withoutOrder(meanwhile, ordered.lines);
      for (const name of skus(ordered.lines, added)) {
        const room = MAX_QUANTITY - quantityOf(ordered.lines, name);
        assert.equal(quantityOf(after.lines, name), Math.min(quantityOf(added, name), room));
      }
      assert.notEqual(after.orderId, ordered.orderId);
      assert.deepEqual(unmerge(after, 'session').lines, after.lines);
    }),
  );
});

it('a line above the limit, stored when the limit was higher, does not shrink', () => {
  assert.deepEqual(plus({ 'bowler-hat': 150 }, { 'bowler-hat': 3 }), { 'bowler-hat': 150 });
});

it('no operation makes a line of 0 or of more than 99', () => {
  fc.assert(
    fc.property(lines, lines, (one, two) => {
      const sum = plus(one, two);
      for (const each of [sum, minus(one, two)])
        for (const quantity of Object.values(each))
          assert.ok(quantity >= 1 && quantity <= MAX_QUANTITY);
      assert.ok(countItems(sum) <= MAX_QUANTITY * skus(one, two).length);
    }),
  );
});
