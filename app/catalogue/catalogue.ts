export type Product = {
  readonly sku: string;
  readonly name: string;
  readonly description: string;
  readonly priceCents: number;
};

export type Catalogue = ReadonlyMap<string, Product>;

export const CURRENCY = 'EUR';

export const createCatalogue = (products: readonly Product[]): Catalogue =>
  new Map(products.map((product) => [product.sku, product]));

const format = new Intl.NumberFormat('en-IE', { style: 'currency', currency: CURRENCY });

/** 28900 -> "€289.00" */
export const formatCents = (cents: number) => format.format(cents / 100);
