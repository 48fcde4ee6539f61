import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { demoProducts } from '../../config/demo-data.ts';
import { createCatalogue } from '../catalogue/catalogue.ts';
import { addLine, countItems, MAX_QUANTITY, priceCart, setLine } from './cart.ts';

const catalogue = createCatalogue(demoProducts);
const skus = fc.constantFrom(...demoProducts.map(({ sku }) => sku));
const quantities = fc.integer({ min: 1, max: MAX_QUANTITY });

it('returns a new cart, and never changes the one it was given', () => {
  const cart = Object.freeze({ 'bowler-hat': 2 });
  assert.deepEqual(addLine(cart, 'bowler-hat', 3), { 'bowler-hat': 5 });
  assert.deepEqual(addLine(cart, 'wool-beret', 1), { 'bowler-hat': 2, 'wool-beret': 1 });
  assert.deepEqual(setLine(cart, 'bowler-hat', 0), {});
});

it('holds 1 to 99 of each product after any changes', () => {
  const changes = fc.array(fc.tuple(skus, quantities, fc.boolean()), { maxLength: 60 });
  fc.assert(
    fc.property(changes, (steps) => {
      let cart = {};
      for (const [sku, quantity, add] of steps)
        cart = (add ? addLine(cart, sku, quantity) : setLine(cart, sku, quantity)) ?? cart;
      for (const quantity of Object.values(cart))
        assert.ok(Number(quantity) >= 1 && Number(quantity) <= MAX_QUANTITY);
    }),
  );
});

it('totals whole cents at the prices of the catalogue', () => {
  fc.assert(
    fc.property(fc.dictionary(skus, quantities), (cart) => {
      const priced = priceCart(cart, catalogue);
      const sum = demoProducts.reduce(
        (total, { sku, priceCents }) => total + priceCents * (cart[sku] ?? 0),
        0,
      );
      assert.equal(priced.totalCents, sum);
      assert.ok(Number.isInteger(sum));
      assert.equal(priced.count, countItems(cart));
    }),
  );
});

it('leaves out a product that is no longer sold', () => {
  const { lines, totalCents } = priceCart({ 'bowler-hat': 1, 'top-hat': 9 }, catalogue);
  assert.deepEqual([lines.length, totalCents], [1, 8900]);
});

it('has no products named like properties of Object', () => {
  for (const sku of ['__proto__', 'constructor', 'toString', 'hasOwnProperty'])
    assert.equal(catalogue.get(sku), undefined);
});
