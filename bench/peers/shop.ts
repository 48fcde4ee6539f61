// What the peers share, so that they differ only in their framework and in how they keep a session.
import { join } from 'node:path';
import bcrypt from 'bcrypt';
import { createClient } from 'redis';
import { formatCents } from '../../app/catalogue/catalogue.ts';
import { demoAccounts, demoProducts } from '../../config/demo-data.ts';

export const SECRET = 'a-secret-that-all-of-the-peers-share';
export const VIEWS = join(import.meta.dirname, '../../views');
/** EJS at its fastest: compiled once with its parts, without `with`. */
export const EJS_OPTIONS = { cache: true, root: VIEWS, _with: false, localsName: 'page' };
export const PORT = Number(process.env.PORT);
export const IDLE_SECONDS = 1800;

export const client = createClient({ url: process.env.REDIS_URL ?? '' });
await client.connect();

type User = { email: string; name: string };

/** What a peer keeps in a session. */
export type Visit = { views?: number; cart?: Record<string, number>; user?: User };

/** The data for the app's view of the shop. */
export const pageOf = (id: string, { views = 0, cart = {}, user }: Visit) => ({
  path: '/',
  title: 'Shop',
  products: demoProducts,
  asset: (name: string) => `/assets/${name}`,
  formatCents,
  once: (_: string, render: () => string) => render(),
  user,
  itemCount: Object.values(cart).reduce((sum, n) => sum + n, 0),
  ticket: { stored: true, number: id.slice(0, 4), views, expiresInSeconds: IDLE_SECONDS },
});

export function countView(visit: Visit): void {
  visit.views = (visit.views ?? 0) + 1;
}

export type Line = { sku: string; quantity: string };

export function putInCart(visit: Visit, { sku, quantity }: Line): void {
  visit.cart = { ...visit.cart, [sku]: (visit.cart?.[sku] ?? 0) + Number(quantity) };
}

export type Credentials = { email: string; password: string };

export async function authenticate({ email, password }: Credentials): Promise<User | undefined> {
  const account = demoAccounts.find((one) => one.email === email);
  if (!account || !(await bcrypt.compare(password, account.passwordHash))) return undefined;
  return { email, name: account.name };
}
