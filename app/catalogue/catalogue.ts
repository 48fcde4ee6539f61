export type Product = {
  readonly sku: string;
  readonly name: string;
  readonly description: string;
  readonly priceCents: number;
};

/** The products by sku, in the order in which the shop shows them. */
export type Catalogue = ReadonlyMap<string, Product>;

/** The currency of every price (ISO 4217). */
export const CURRENCY = 'EUR';

export const createCatalogue = (products: readonly Product[]): Catalogue =>
  new Map(products.map((product) => [product.sku, product]));

const format = new Intl.NumberFormat('en-IE', { style: 'currency', currency: CURRENCY });

/** 28900 -> "€289.00" */
export const formatCents = (cents: number) => format.format(cents / 100);
