import { join } from 'node:path';
import express, { type Express, type Request } from 'express';
import type { Logger } from 'pino';
import { createAccounts, type DemoAccount } from './accounts/accounts.ts';
import { identify } from './accounts/identify.ts';
import { isRevoked } from './accounts/logged-in-sessions.ts';
import { eventStreams } from './accounts/session-events.ts';
import { createCarts } from './cart/account-carts.ts';
import { currentItemCount } from './cart/current-cart.ts';
import { createCatalogue, type Product } from './catalogue/catalogue.ts';
import { createAssets } from './http/assets.ts';
import { bodyParser, endUnreadBody } from './http/body-parser.ts';
import { decideFormat } from './http/decide-format.ts';
import { errorHandler, notFound } from './http/error-handler.ts';
import { type Checks, healthHandlers } from './http/health-handlers.ts';
import { mount } from './http/mount.ts';
import { createPages, neverCache } from './http/pages.ts';
import { isPrefetch } from './http/prefetch.ts';
import { type LimitOptions, rateLimits } from './http/rate-limits.ts';
import { forChanges, refuseCrossSite } from './http/refuse-cross-site.ts';
import { refuseMalformed } from './http/refuse-malformed.ts';
import { rememberClient } from './http/remember-client.ts';
import { requireCookies } from './http/require-cookies.ts';
import { type Hsts, securityHeaders } from './http/security-headers.ts';
import { createViews } from './http/views.ts';
import { warnOfLostCookie } from './inspector/proxy-doctor.ts';
import { createRecorder } from './inspector/recorder.ts';
import { pretendOutages } from './lab/pretend-outages.ts';
import { createAudit } from './observe/audit.ts';
import { countRepeats } from './observe/log.ts';
import { createMetrics } from './observe/metrics.ts';
import { requestLog } from './observe/request-log.ts';
import type { Tracing } from './observe/tracing.ts';
import { createOrders } from './orders/orders.ts';
import { pageFrame } from './page-frame.ts';
import { createHandlers, healthRoutes, sitemap, streamRoutes, wayBack } from './routes.ts';
import { type SessionEvent, type SessionOptions, sessionMiddleware } from './session/index.ts';
import { shopFields } from './shop-session.ts';
import { createDocuments, type DocumentBackend } from './storage/documents.ts';
import { type RoundTrip, timed } from './storage/timed.ts';

export type AppOptions = LimitOptions & {
  production: boolean;
  /** Express's `trust proxy`. */
  trustProxy: number | string[] | false;
  log: Logger;
  tracing?: Tracing | undefined;
  hsts: Hsts;
  session: SessionOptions;
  storeName?: string;
  checks: Checks;
  /** Stores accounts, carts and orders. */
  documents: DocumentBackend;
  demoAccounts: readonly (DemoAccount & { password: string })[];
  /** Default: 12 */
  hashCost?: number;
  products: readonly Product[];
  /** Shows at the foot of each page what the request did to the session. */
  toolbar?: boolean;
  /** Undefined: there is no race lab. With `outageSeconds: 0`, no visitor can take the store down. */
  lab?: { outageSeconds: number } | undefined;
};

const ROOT = join(import.meta.dirname, '..');
const VIEWS = join(ROOT, 'views');
const PUBLIC = join(ROOT, 'public');

/** The whole app, in the order in which a request meets it. */
export function createApp(options: AppOptions): Express {
  const { production, log, tracing } = options;
  const parts = createParts(options);
  const { secret, metrics, audit, recorder, pages, accounts, carts, limits, session } = parts;
  const { assets, outages } = parts;
  const sessions = sessionMiddleware(session);
  const events = eventStreams(sessions);
  const app = express();
  app.disable('x-powered-by');
  app.set('trust proxy', options.trustProxy);
  app.set('etag', false); // no page is the same twice

  app.use(requestLog({ log, metrics, secret, tracing }), rememberClient(log), decideFormat);
  app.use(securityHeaders(options.hsts), refuseMalformed, endUnreadBody);
  app.use('/assets', assets.handlers, notFound);
  mount(app, healthRoutes(healthHandlers(options)));
  app.use(neverCache, forChanges(refuseCrossSite, bodyParser));
  mount(app, streamRoutes(events));
  app.once('drain', events.drain);
  if (outages) app.use(outages.middleware);
  app.use(recorder.middleware, sessions, warnOfLostCookie(log));
  app.use(identify({ accounts, carts }), limits.lostSessions);
  mount(app, sitemap(createHandlers(parts), limits, requireCookies(session.cookie)));
  app.use(notFound);
  if (outages) app.use(outages.errorPage);
  app.use(errorHandler({ log, audit, pages, wayBack, showFaults: !production }));
  return app;
}

function createParts(options: AppOptions) {
  const { production, log, tracing, lab, rateLimitStore, floodLimits } = options;
  const [secret = ''] = options.session.secrets;
  const metrics = createMetrics();
  const assets = createAssets(PUBLIC, production);
  const recorder = createRecorder({ alwaysOn: !production });
  const onTrip = (of: 'session' | 'document') => (trip: RoundTrip) => {
    metrics.roundTrip({ of, ...trip });
    recorder.onTrip({ of, ...trip });
    tracing?.onTrip({ of, ...trip });
  };
  const unreadable = new Set<string>(); // each reason is logged once
  const logOften = countRepeats((count, event, err) => log.error({ event, count, err }, event));
  const audit = createAudit(log, secret);
  const onEvent = (event: SessionEvent, req?: Request) => {
    metrics.session(event);
    recorder.onEvent(event);
    tracing?.onEvent(event);
    if (req && event.type === 'device-refused') audit(req, event.type, { reason: event.reason });
    else if (req && (event.type === 'device-registered' || event.type === 'device-proved'))
      audit(req, event.type);
    else if (event.type === 'touch-failed') logOften(event.type, event.error);
    else if ('error' in event) log.error({ event: event.type, err: event.error }, event.type);
    else if (event.type === 'store-up') log.info({ event: event.type }, event.type);
    else if (event.type === 'unreadable' && !unreadable.has(event.reason)) {
      unreadable.add(event.reason);
      log.warn(event, 'Stored sessions do not fit the fields: their visitors start afresh');
    }
  };
  const outages = lab?.outageSeconds
    ? pretendOutages(options.session.backend, lab.outageSeconds)
    : undefined;
  const backend = timed(outages?.backend ?? options.session.backend, onTrip('session'));
  const documents = createDocuments(timed(options.documents, onTrip('document')), options.session);
  const whenLost = { flash: 'Your last session has ended. This is a new one.' };
  const accounts = createAccounts(documents, options.demoAccounts);
  const session = { ...options.session, fields: shopFields, backend, onEvent };
  return {
    secret,
    metrics,
    assets,
    audit,
    recorder,
    session: { ...session, isRevoked: isRevoked(accounts), whenLost, readOnly: isPrefetch },
    storeName: options.storeName,
    accounts,
    carts: createCarts(documents),
    orders: createOrders(documents),
    catalogue: createCatalogue(options.products),
    hashCost: options.hashCost ?? 12,
    limits: rateLimits({ rateLimitStore, floodLimits, userEmail: (req) => req.account?.email }),
    pages: createPages(createViews(VIEWS, production), pageFrame(options, recorder, assets)),
    lab: lab !== undefined,
    outages,
    currentItemCount,
  };
}
