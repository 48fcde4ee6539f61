import { type Catalogue, CURRENCY } from '../catalogue/catalogue.ts';

/** sku -> quantity, from 1 to MAX_QUANTITY. Prices and totals are looked up, never kept. */
export type Cart = Readonly<Record<string, number>>;

export const MAX_QUANTITY = 99;

/** @returns the cart with `quantity` more of `sku`, or undefined where that would be too many */
export function addLine(cart: Cart, sku: string, quantity: number): Cart | undefined {
  const total = quantityOf(cart, sku) + quantity;
  return total > MAX_QUANTITY ? undefined : setLine(cart, sku, total);
}

/** @param quantity 0 removes the line */
export function setLine(cart: Cart, sku: string, quantity: number): Cart {
  const { [sku]: _, ...others } = cart;
  return quantity === 0 ? others : { ...cart, [sku]: quantity };
}

export const quantityOf = (cart: Cart, sku: string) =>
  Object.hasOwn(cart, sku) ? (cart[sku] ?? 0) : 0;

export const countItems = (cart: Cart) => Object.values(cart).reduce((sum, n) => sum + n, 0);

/** The cart at today's prices. A product that is no longer sold is left out. */
export function priceCart(cart: Cart, catalogue: Catalogue) {
  const lines = Object.entries(cart).flatMap(([sku, quantity]) => {
    const product = catalogue.find(sku);
    if (!product) return [];
    const { name, priceCents } = product;
    const lineTotalCents = priceCents * quantity;
    return [{ sku, name, unitPriceCents: priceCents, quantity, lineTotalCents }];
  });
  return {
    lines,
    count: lines.reduce((sum, line) => sum + line.quantity, 0),
    totalCents: lines.reduce((sum, line) => sum + line.lineTotalCents, 0),
    currency: CURRENCY,
  };
}
