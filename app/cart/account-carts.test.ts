import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { merge, unmerge, withoutOrder } from './account-carts.ts';
import { type Cart, countItems, MAX_QUANTITY, minus, plus, quantityOf } from './cart.ts';

const sku = fc.constantFrom('bowler-hat', 'wool-beret', 'camel-overcoat', '__proto__', 'toString');
const lines = fc
  .array(fc.tuple(sku, fc.integer({ min: 1, max: MAX_QUANTITY })))
  .map((entries): Cart => Object.fromEntries(entries));
const cart = lines.map((kept) => ({ lines: kept, orderId: 'first', merged: {}, version: 0 }));
const skus = (...carts: Cart[]) => [...new Set(carts.flatMap((each) => Object.keys(each)))];
/** A cart without the order of its lines. */
const content = (each: Cart) => Object.fromEntries(Object.entries(each).toSorted());

describe('the lines of a guest, at log-in,', () => {
  it('add up with those of the account, to 99 of one product at most', () => {
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

  it('are added once for each session, however often it is tried', () => {
    fc.assert(
      fc.property(cart, lines, lines, (account, guest, other) => {
        const once = merge(merge(account, 'session', guest), 'other', other);
        assert.equal(merge(once, 'session', guest), once);
      }),
    );
  });

  it('are taken out again by the Undo, which leaves the rest and brings nothing back twice', () => {
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

it('an order takes out what was ordered; what was added meanwhile stays, and no Undo reaches it', () => {
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

it('a line above the limit, from a time when that was higher, loses nothing by what is added', () => {
  assert.deepEqual(plus({ 'bowler-hat': 150 }, { 'bowler-hat': 3 }), { 'bowler-hat': 150 });
});

it('no rule makes a line of none, or of more than 99', () => {
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
