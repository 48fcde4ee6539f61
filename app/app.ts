import { join } from 'node:path';
import express, { type Express } from 'express';
import type { Store as HitStore } from 'express-rate-limit';
import type { Logger } from 'pino';
import { deviceHandlers } from './accounts/account-page-handlers.ts';
import { createAccounts, type DemoAccount } from './accounts/accounts.ts';
import { identify } from './accounts/identify.ts';
import { accountHandlers } from './accounts/log-in-handlers.ts';
import { createCarts } from './cart/account-carts.ts';
import { cartHandlers } from './cart/cart-handlers.ts';
import { createCatalogue, formatCents, type Product } from './catalogue/catalogue.ts';
import { shopHandlers } from './catalogue/shop-handlers.ts';
import { guideHandlers } from './guide/guide-handlers.ts';
import { colour } from './guide/highlight.ts';
import { assetsInMemory, assetsOnDisk } from './http/assets.ts';
import { bodyParser } from './http/body-parser.ts';
import { errorHandler, notFound } from './http/error-handler.ts';
import { healthHandlers } from './http/health-handlers.ts';
import { type FloodLimits, rateLimits } from './http/rate-limits.ts';
import { refuseAmbiguous, refuseCrossSite, SAFE_METHODS } from './http/same-origin.ts';
import { securityHeaders } from './http/security-headers.ts';
import { createViews } from './http/views.ts';
import { warnOfLostCookie } from './inspector/proxy-doctor.ts';
import { createRecorder } from './inspector/recorder.ts';
import { sessionHandlers } from './inspector/xray-handlers.ts';
import { labHandlers } from './lab/lab-handlers.ts';
import { pretendOutages } from './lab/pretend-outages.ts';
import { createAudit } from './observe/audit.ts';
import { createMetrics } from './observe/metrics.ts';
import { requestLog } from './observe/request-log.ts';
import { orderHandlers } from './orders/order-handlers.ts';
import { createOrders } from './orders/orders.ts';
import { healthRoutes, mount, sitemap } from './routes.ts';
import { type SessionEvent, type SessionOptions, sessionMiddleware } from './session/index.ts';
import { createDocuments, type DocumentBackend } from './storage/documents.ts';
import { type RoundTrip, timed } from './storage/timed.ts';

export type AppOptions = {
  production: boolean;
  /** Express's `trust proxy`. */
  trustProxy: number | string[] | false;
  log: Logger;
  session: SessionOptions;
  /** What the X-ray calls the store. */
  storeName?: string;
  /** Rejects while the store does not answer. */
  checkStore: () => Promise<unknown>;
  /** Where rate limits are counted that hold over all processes; absent: in this one. */
  sharedHits?: (name: string) => HitStore;
  floodLimits?: FloodLimits;
  /** Where accounts, carts and orders are kept. */
  documents: DocumentBackend;
  demoAccounts: readonly (DemoAccount & { password: string })[];
  /** What a password's bcrypt costs; absent: 12. */
  hashCost?: number;
  products: readonly Product[];
  /** Shows at the foot of each page what the request did to the session. */
  toolbar?: boolean;
  /** Opens the race lab. A visitor may let the store go away for so long, for himself alone; 0: not. */
  lab?: { outageSeconds: number };
};

const folder = (name: string) => join(import.meta.dirname, '..', name);

/** The whole app, in the order in which a request meets it. */
export function createApp(options: AppOptions): Express {
  const { production, log, session, toolbar } = options;
  const app = express();
  app.disable('x-powered-by');
  app.set('trust proxy', options.trustProxy);
  app.set('etag', false); // a page of a session is new each time
  // Passwords are shown where they are no secret: on the developer's own machine.
  const demoLogins = production ? [] : options.demoAccounts;
  const idleMinutes = Math.round(Math.min(session.idleMs, session.absoluteMs) / 60_000);
  const lab = options.lab !== undefined;
  const shared = { formatCents, colour, demoLogins, idleMinutes, lab, toolbar };
  app.locals.render = createViews(folder('views'), production, shared);

  const parts = createParts(options);
  const { secret, metrics, audit, recorder, outages, accounts, carts, handlers } = parts;
  app.use(requestLog({ log, metrics, recorder, secret }));
  app.use(securityHeaders({ https: production }), refuseAmbiguous);
  app.use(
    '/assets',
    production ? assetsInMemory(folder('public')) : assetsOnDisk(folder('public')),
    notFound,
  );
  mount(app, healthRoutes(healthHandlers(options)));

  const onEvent = (event: SessionEvent) => {
    metrics.session(event);
    recorder.onEvent(event);
    if ('error' in event) log.error({ event: event.type, err: event.error }, event.type);
    else if (event.type === 'store-up') log.info({ event: event.type }, event.type);
  };
  app.use((req, res, next) => {
    // Asked once, while the client is there: later, one that left would seem to come over plain HTTP,
    // and its change would be refused. And each time, the trusted addresses would be read anew.
    Object.defineProperty(req, 'protocol', { value: req.protocol });
    res.setHeader('Cache-Control', 'no-store').setHeader('Vary', 'Accept');
    next();
  });
  const beforeChanges = express.Router().use(refuseCrossSite, bodyParser);
  app.use((req, res, next) =>
    SAFE_METHODS.includes(req.method) ? next() : beforeChanges(req, res, next),
  );
  app.use(
    recorder.middleware,
    sessionMiddleware({
      ...session,
      whenLost: { flash: 'Your old session had ended. This is a new one.' },
      backend: timed(outages?.backend ?? session.backend, parts.onTrip('session')),
      onEvent,
    }),
    warnOfLostCookie(log),
    identify({ accounts, carts }),
    handlers.limits.newSessions,
  );
  mount(app, sitemap(handlers));
  app.use(notFound, errorHandler({ audit }));
  return app;
}

export type Handlers = ReturnType<typeof createParts>['handlers'];

/** What the shop is made of, and its handlers over that. */
function createParts(options: AppOptions) {
  const { production, log, session, storeName, demoAccounts, hashCost = 12 } = options;
  const [secret = ''] = session.secrets;
  const metrics = createMetrics();
  const audit = createAudit(log, secret);
  const recorder = createRecorder({ always: !production });
  const onTrip = (of: 'session' | 'document') => (trip: RoundTrip) => {
    metrics.roundTrip(trip);
    recorder.onTrip({ of, ...trip });
  };
  const documents = createDocuments(timed(options.documents, onTrip('document')));
  const accounts = createAccounts(documents, demoAccounts);
  const carts = createCarts(documents);
  const orders = createOrders(documents);
  const catalogue = createCatalogue(options.products);
  const { outageSeconds } = options.lab ?? {};
  const outages = outageSeconds ? pretendOutages(session.backend, outageSeconds) : undefined;
  const handlers = {
    shop: shopHandlers({ catalogue }),
    accounts: accountHandlers({ accounts, carts, hashCost, audit }),
    devices: deviceHandlers({ accounts, hashCost, audit }),
    cart: cartHandlers({ carts, catalogue }),
    orders: orderHandlers({ orders, carts, catalogue }),
    session: sessionHandlers({ session, storeName, recorder }),
    guide: guideHandlers(),
    lab: options.lab && labHandlers(outages),
    limits: rateLimits(options.sharedHits ?? (() => undefined), options.floodLimits),
  };
  return { secret, metrics, audit, recorder, onTrip, outages, accounts, carts, handlers };
}
