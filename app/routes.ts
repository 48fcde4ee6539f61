import type { IRouter, RequestHandler } from 'express';
import type { accountHandlers } from './accounts/account-handlers.ts';
import type { cartHandlers } from './cart/cart-handlers.ts';
import type { shopHandlers } from './catalogue/shop-handlers.ts';
import { Refusal } from './errors.ts';
import type { healthHandlers } from './health-handlers.ts';

type Route = [verb: 'get' | 'post', path: string, ...handlers: RequestHandler[]];

/** What supervisors ask: answered before, and without, a session. */
export const healthRoutes = (health: ReturnType<typeof healthHandlers>): Route[] => [
  ['get', '/livez', health.livez],
  ['get', '/readyz', health.readyz],
];

type Handlers = {
  shop: ReturnType<typeof shopHandlers>;
  accounts: ReturnType<typeof accountHandlers>;
  cart: ReturnType<typeof cartHandlers>;
};

/** The sitemap. */
export const shopRoutes = ({ shop, accounts, cart }: Handlers): Route[] => [
  ['get', '/', shop.show],

  ['get', '/login', accounts.showLogIn],
  ['post', '/login', accounts.logIn],
  ['get', '/logout', accounts.showLogOut],
  ['post', '/logout', accounts.logOut],

  ['get', '/cart', cart.show],
  ['post', '/cart/lines', cart.add],
  ['post', '/cart/lines/:sku', cart.set],
  ['post', '/cart/clear', cart.clear],
];

/** Adds the routes, and for each path a 405 to every other verb. */
export function mount(router: IRouter, routes: Route[]): void {
  for (const [verb, path, ...handlers] of routes) router[verb](path, ...handlers);
  for (const [path, same] of Map.groupBy(routes, (route) => route[1])) {
    const allow = same.map(([verb]) => (verb === 'get' ? 'GET, HEAD' : 'POST')).join(', ');
    router.all(path, () => {
      throw new Refusal(405, `This address takes ${allow} only.`, { Allow: allow });
    });
  }
}
