export type Product = {
  readonly sku: string;
  readonly name: string;
  readonly description: string;
  readonly priceCents: number;
};

export type Catalogue = {
  readonly products: readonly Product[];
  find(sku: string): Product | undefined;
};

/** The currency of every price, by ISO 4217. */
export const CURRENCY = 'EUR';

export function createCatalogue(products: readonly Product[]): Catalogue {
  const bySku = new Map(products.map((product) => [product.sku, product]));
  return { products, find: (sku) => bySku.get(sku) };
}

const format = new Intl.NumberFormat('en-IE', { style: 'currency', currency: CURRENCY });

/** 28900 -> "€289.00" */
export const formatCents = (cents: number) => format.format(cents / 100);
