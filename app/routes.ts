import type { RequestHandler } from 'express';
import { accountPageHandlers } from './accounts/account-page-handlers.ts';
import { requireOwnPassword, requireUser } from './accounts/identify.ts';
import { logInHandlers } from './accounts/log-in-handlers.ts';
import type { EventStreams } from './accounts/session-events.ts';
import { cartHandlers } from './cart/cart-handlers.ts';
import { shopHandlers } from './catalogue/shop-handlers.ts';
import { guideHandlers } from './guide/guide-handlers.ts';
import type { healthHandlers } from './http/health-handlers.ts';
import type { Route } from './http/mount.ts';
import type { Limits } from './http/rate-limits.ts';
import { xrayHandlers } from './inspector/xray-handlers.ts';
import { labHandlers } from './lab/lab-handlers.ts';
import { orderHandlers } from './orders/order-handlers.ts';

/** For supervisors. They need no session. */
export const healthRoutes = (health: ReturnType<typeof healthHandlers>): Route[] => [
  ['get', '/livez', health.livez],
  ['get', '/readyz', health.readyz],
];

/** Streams stay open, so they are answered before the session's middleware, which they do not need. */
export const streamRoutes = (events: EventStreams): Route[] => [
  ['get', '/session/events', events.show],
];

/**
 * All other routes, except the files under /assets, and POST /dbsc/registration and /dbsc/refresh, which
 * the session module answers.
 */
export function sitemap(handlers: Handlers, limits: Limits, needsCookies: RequestHandler): Route[] {
  const { shop, auth, account, cart, orders, xray, guide, lab } = handlers;

  const openToTemporaryPasswords: Route[] = [
    ['get', '/login', needsCookies, auth.logInForm.show],
    ['post', '/login', needsCookies, limits.logIn, auth.logIn],
    ['get', '/logout', auth.logOutForm.show],
    ['post', '/logout', auth.logOut],
    ['get', '/account/password', requireUser, account.passwordForm.show],
    ['post', '/account/password', requireUser, limits.password, account.changePassword],
  ];

  const others: Route[] = [
    ['get', '/', limits.newVisitors, shop.show],
    ['get', '/register', needsCookies, auth.registerForm.show],
    ['post', '/register', needsCookies, limits.register, auth.register],

    ['get', '/account', requireUser, account.show],
    ['post', '/account/confirm', requireUser, limits.password, account.confirm],
    ['post', '/account/sessions/end-others', requireUser, limits.password, account.endOthers],
    ['post', '/account/sessions/:handle/end', requireUser, limits.password, account.endOne],

    ['get', '/cart', cart.show],
    ['post', '/cart/lines', needsCookies, limits.cartChanges, cart.add],
    ['post', '/cart/lines/:sku', needsCookies, limits.cartChanges, cart.set],
    ['post', '/cart/clear', needsCookies, limits.cartChanges, cart.clear],
    ['post', '/cart/undo', needsCookies, limits.cartChanges, cart.undo],
    ['post', '/cart/undo-merge', requireUser, limits.cartChanges, cart.undoMerge],

    ['post', '/checkout', requireUser, limits.orders, orders.checkOut],
    ['get', '/orders', requireUser, orders.showAll],
    ['get', '/orders/:id', requireUser, orders.show],

    ['get', '/session', xray.show],
    ['get', '/guide', guide.index],
    ['get', '/guide/source/*file', guide.source],
    ['get', '/guide/:chapter', guide.show],
    ...(lab ? labRoutes(lab, limits) : []),
  ];

  return [...openToTemporaryPasswords, ...behind(requireOwnPassword, others)];
}

const labRoutes = (lab: NonNullable<Handlers['lab']>, limits: Limits): Route[] => [
  ['get', '/lab', lab.show],
  ['post', '/lab/outage', limits.lab, lab.beginOutage],
  ['post', '/lab/:race', limits.lab, lab.run],
];

const behind = (guard: RequestHandler, routes: Route[]) =>
  routes.map(([verb, path, ...handlers]): Route => [verb, path, guard, ...handlers]);

/** The second link of an error page. By path, because a request can fail before its route. */
export function wayBack(path: string) {
  if (/^\/(cart|checkout)/.test(path)) return { href: '/cart', label: 'Back to the cart' };
  if (path.startsWith('/account')) return { href: '/account', label: 'Back to your account' };
  return undefined;
}

/** Everything the handlers need. */
type Parts = Parameters<typeof shopHandlers>[0] &
  Parameters<typeof logInHandlers>[0] &
  Parameters<typeof accountPageHandlers>[0] &
  Parameters<typeof cartHandlers>[0] &
  Parameters<typeof orderHandlers>[0] &
  Parameters<typeof xrayHandlers>[0] &
  Parameters<typeof labHandlers>[0] & { lab: boolean };
export type Handlers = ReturnType<typeof createHandlers>;

export const createHandlers = (parts: Parts) => ({
  shop: shopHandlers(parts),
  auth: logInHandlers(parts),
  account: accountPageHandlers(parts),
  cart: cartHandlers(parts),
  orders: orderHandlers(parts),
  xray: xrayHandlers(parts),
  guide: guideHandlers(parts),
  lab: parts.lab ? labHandlers(parts) : undefined,
});
