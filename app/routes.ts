import type { ErrorRequestHandler, IRouter, RequestHandler } from 'express';
import { accountPageHandlers } from './accounts/account-page-handlers.ts';
import type { Accounts } from './accounts/accounts.ts';
import { requireOwnPassword, requireUser } from './accounts/identify.ts';
import { logInHandlers } from './accounts/log-in-handlers.ts';
import type { Carts } from './cart/account-carts.ts';
import { cartHandlers } from './cart/cart-handlers.ts';
import { itemCount } from './cart/current-cart.ts';
import type { Catalogue } from './catalogue/catalogue.ts';
import { shopHandlers } from './catalogue/shop-handlers.ts';
import { guideHandlers } from './guide/guide-handlers.ts';
import type { healthHandlers } from './http/health-handlers.ts';
import type { Pages } from './http/pages.ts';
import type { Limits } from './http/rate-limits.ts';
import { Refusal } from './http/refusal.ts';
import type { Recorder } from './inspector/recorder.ts';
import { xrayHandlers } from './inspector/xray-handlers.ts';
import { labHandlers } from './lab/lab-handlers.ts';
import type { pretendOutages } from './lab/pretend-outages.ts';
import type { Audit } from './observe/audit.ts';
import { orderHandlers } from './orders/order-handlers.ts';
import type { Orders } from './orders/orders.ts';
import type { SessionOptions } from './session/index.ts';

type Handler = RequestHandler | (RequestHandler | ErrorRequestHandler)[];
type Route = [verb: 'get' | 'post', path: string, ...handlers: Handler[]];

/** A mark, not a guard: users with a temporary password may use this route. */
const tempUserOk: RequestHandler[] = [];

/** For supervisors: answered before, and without, a session. */
export const healthRoutes = (health: ReturnType<typeof healthHandlers>): Route[] => [
  ['get', '/livez', health.livez],
  ['get', '/readyz', health.readyz],
];

/** The sitemap. */
export function sitemap(handlers: Handlers, limits: Limits): Route[] {
  const { shop, auth, account, cart, orders, xray, guide, lab } = handlers;
  return [
    ['get', '/', limits.newVisitors, shop.show],

    ['get', '/login', tempUserOk, auth.logInForm.show],
    ['post', '/login', tempUserOk, limits.logIn, auth.logIn],
    ['get', '/register', auth.registerForm.show],
    ['post', '/register', limits.register, auth.register],
    ['get', '/logout', tempUserOk, auth.logOutForm.show],
    ['post', '/logout', tempUserOk, auth.logOut],

    ['get', '/account', requireUser, account.show],
    ['get', '/account/password', tempUserOk, requireUser, account.passwordForm.show],
    ['post', '/account/password', tempUserOk, requireUser, limits.password, account.changePassword],
    ['post', '/account/confirm', requireUser, limits.password, account.confirm],
    ['post', '/account/sessions/end-others', requireUser, limits.password, account.endOthers],
    ['post', '/account/sessions/:handle/end', requireUser, limits.password, account.endOne],

    ['get', '/cart', cart.show],
    ['post', '/cart/lines', limits.cartChanges, cart.add],
    ['post', '/cart/lines/:sku', limits.cartChanges, cart.set],
    ['post', '/cart/clear', limits.cartChanges, cart.clear],
    ['post', '/cart/undo-merge', requireUser, limits.cartChanges, cart.undoMerge],

    ['post', '/checkout', requireUser, limits.cartChanges, orders.checkOut],
    ['get', '/orders', requireUser, orders.showAll],
    ['get', '/orders/:id', requireUser, orders.show],

    ['get', '/session', xray.show],
    ['get', '/guide', guide.index],
    ['get', '/guide/:chapter', guide.show],
    ...(lab ? labRoutes(lab, limits) : []),
  ];
}

const labRoutes = (lab: NonNullable<Handlers['lab']>, limits: Limits): Route[] => [
  ['get', '/lab', lab.show],
  ['post', '/lab/outage', limits.lab, lab.beginOutage],
  ['post', '/lab/:race', limits.lab, lab.run],
];

/** The link that an error page offers beside the shop, by the beginning of its path. */
export function wayBack(path: string) {
  if (/^\/(cart|checkout)/.test(path)) return { href: '/cart', label: 'Back to the cart' };
  if (path.startsWith('/account')) return { href: '/account', label: 'Back to your account' };
  return undefined;
}

/** What the handlers need. */
export type Parts = {
  accounts: Accounts;
  carts: Carts;
  catalogue: Catalogue;
  orders: Orders;
  hashCost: number;
  session: SessionOptions;
  storeName: string | undefined;
  recorder: Recorder;
  lab: boolean;
  outages: ReturnType<typeof pretendOutages> | undefined;
  limits: Limits;
  audit: Audit;
  pages: Pages;
};

/** The routes of the sitemap over these parts, each closed to temporary passwords unless it is marked. */
export const createRoutes = (parts: Parts): Route[] =>
  sitemap(createHandlers(parts), parts.limits).map(([verb, path, ...handlers]) =>
    handlers.includes(tempUserOk)
      ? [verb, path, ...handlers]
      : [verb, path, requireOwnPassword, ...handlers],
  );

type Handlers = ReturnType<typeof createHandlers>;

function createHandlers(parts: Parts) {
  const { accounts, carts, catalogue, orders, hashCost, audit, pages } = parts;
  const { session, storeName, recorder, lab, outages } = parts;
  return {
    shop: shopHandlers({ catalogue, pages, itemCount }),
    auth: logInHandlers({ accounts, carts, hashCost, audit, pages }),
    account: accountPageHandlers({ accounts, hashCost, audit, pages }),
    cart: cartHandlers({ carts, catalogue, pages }),
    orders: orderHandlers({ orders, carts, catalogue, pages }),
    xray: xrayHandlers({ session, storeName, recorder, pages }),
    guide: guideHandlers({ pages }),
    lab: lab ? labHandlers({ pages, outages }) : undefined,
  };
}

/** Adds the routes, and for each path a 405 to every other verb. */
export function mount(router: IRouter, routes: Route[]): void {
  for (const [path, same] of Map.groupBy(routes, (route) => route[1])) {
    const route = router.route(path);
    for (const [verb, , ...handlers] of same) route[verb](...handlers);
    const allow = same.map(([verb]) => (verb === 'get' ? 'GET, HEAD' : 'POST')).join(', ');
    route.all(() => {
      throw new Refusal(405, `This address takes ${allow} only.`, { Allow: allow });
    });
  }
}
