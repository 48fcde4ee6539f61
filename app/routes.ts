import type { ErrorRequestHandler, IRouter, RequestHandler } from 'express';
import { requireUser } from './accounts/identify.ts';
import type { Handlers } from './app.ts';
import type { healthHandlers } from './http/health-handlers.ts';
import { Refusal } from './http/refusal.ts';

type Route = [verb: 'get' | 'post', path: string, ...handlers: Handler[]];
type Handler = RequestHandler | (RequestHandler | ErrorRequestHandler)[];

/** What supervisors ask: answered before, and without, a session. */
export const healthRoutes = (health: ReturnType<typeof healthHandlers>): Route[] => [
  ['get', '/livez', health.livez],
  ['get', '/readyz', health.readyz],
];

/** The sitemap. */
export function sitemap(handlers: Handlers): Route[] {
  const { shop, accounts, devices, cart, orders, session, guide, lab, limits } = handlers;
  return [
    ['get', '/', shop.show],

    ['get', '/login', accounts.logInForm.show],
    ['post', '/login', limits.password, accounts.logIn],
    ['get', '/register', accounts.registerForm.show],
    ['post', '/register', limits.register, accounts.register],
    ['get', '/logout', accounts.logOutForm.show],
    ['post', '/logout', accounts.logOut],

    ['get', '/account', requireUser, devices.show],
    ['get', '/account/password', requireUser, devices.passwordForm.show],
    ['post', '/account/password', requireUser, limits.password, devices.changePassword],
    ['post', '/account/confirm', requireUser, limits.password, devices.confirm],
    ['post', '/account/sessions/end-others', requireUser, limits.password, devices.endOthers],
    ['post', '/account/sessions/:handle/end', requireUser, limits.password, devices.endOne],

    ['get', '/cart', cart.show],
    ['post', '/cart/lines', limits.cartChanges, cart.add],
    ['post', '/cart/lines/:sku', limits.cartChanges, cart.set],
    ['post', '/cart/clear', limits.cartChanges, cart.clear],
    ['post', '/cart/undo-merge', requireUser, limits.cartChanges, cart.undoMerge],

    ['post', '/checkout', requireUser, limits.cartChanges, orders.checkOut],
    ['get', '/orders', requireUser, orders.showAll],
    ['get', '/orders/:id', requireUser, orders.show],

    ['get', '/session', session.show],
    ['get', '/guide', guide.index],
    ['get', '/guide/:chapter', guide.show],
    ...(lab ? labRoutes(lab, limits) : []),
  ];
}

const labRoutes = (lab: NonNullable<Handlers['lab']>, limits: Handlers['limits']): Route[] => [
  ['get', '/lab', lab.show],
  ['post', '/lab/outage', limits.lab, lab.beginOutage],
  ['post', '/lab/:race', limits.lab, lab.run],
];

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
