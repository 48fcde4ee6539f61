import { type Catalogue, CURRENCY } from '../catalogue/catalogue.ts';

/** sku -> quantity, from 1 to MAX_QUANTITY. Prices and totals are never stored. */
export type Cart = Readonly<Record<string, number>>;

export const MAX_QUANTITY = 99;

/** @returns the cart with `quantity` more of `sku`, or undefined when that is too many */
export function addLine(cart: Cart, sku: string, quantity: number): Cart | undefined {
  const total = quantityOf(cart, sku) + quantity;
  return total > MAX_QUANTITY ? undefined : setLine(cart, sku, total);
}

export function setLine(cart: Cart, sku: string, quantity: number): Cart {
  const { [sku]: _, ...others } = cart;
  return quantity === 0 ? others : { ...cart, [sku]: quantity };
}

/** The lines of `before` that `after` no longer has. */
export const removedLines = (before: Cart, after: Cart): Cart =>
  Object.fromEntries(Object.entries(before).filter(([sku]) => !Object.hasOwn(after, sku)));

export const plus = (cart: Cart, lines: Cart): Cart =>
  combine(cart, lines, (now, more) => Math.max(now, Math.min(now + more, MAX_QUANTITY)));

export const minus = (cart: Cart, lines: Cart): Cart =>
  combine(cart, lines, (now, less) => Math.max(0, now - less));

const combine = (cart: Cart, lines: Cart, total: (now: number, n: number) => number): Cart =>
  Object.entries(lines).reduce(
    (result, [sku, quantity]) => setLine(result, sku, total(quantityOf(result, sku), quantity)),
    cart,
  );

export const quantityOf = (cart: Cart, sku: string) =>
  Object.hasOwn(cart, sku) ? (cart[sku] ?? 0) : 0;

export const countItems = (cart: Cart) => Object.values(cart).reduce((sum, n) => sum + n, 0);

/** The cart at today's prices. A product that is no longer sold is left out. */
export function priceCart(cart: Cart, catalogue: Catalogue) {
  const lines = Object.entries(cart).flatMap(([sku, quantity]) => {
    const product = catalogue.get(sku);
    if (!product) return [];
    return [{ sku, name: product.name, unitPriceCents: product.priceCents, quantity }];
  });
  return { ...totalsOf(lines), currency: CURRENCY };
}

type Line = { sku: string; name: string; unitPriceCents: number; quantity: number };

export function totalsOf(lines: readonly Line[]) {
  const withTotals = lines.map((line) => ({
    ...line,
    lineTotalCents: line.unitPriceCents * line.quantity,
  }));
  return {
    lines: withTotals,
    count: withTotals.reduce((sum, line) => sum + line.quantity, 0),
    totalCents: withTotals.reduce((sum, line) => sum + line.lineTotalCents, 0),
  };
}
