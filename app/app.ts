import ejs from 'ejs';
import express, { type Express } from 'express';
import type { Store as HitStore } from 'express-rate-limit';
import type { Logger } from 'pino';
import { accountHandlers } from './accounts/account-handlers.ts';
import type { Accounts } from './accounts/accounts.ts';
import { cartHandlers } from './cart/cart-handlers.ts';
import { createCatalogue, type Product } from './catalogue/catalogue.ts';
import { shopHandlers } from './catalogue/shop-handlers.ts';
import { errorHandler, notFound } from './errors.ts';
import { healthHandlers } from './health-handlers.ts';
import { requestLog } from './request-log.ts';
import { healthRoutes, mount, shopRoutes } from './routes.ts';
import { bodyParsers } from './security/body-parsers.ts';
import { warnOfLostCookie } from './security/lost-cookie.ts';
import { rateLimits } from './security/rate-limits.ts';
import { refuseAmbiguousHost, refuseCrossSite } from './security/same-origin.ts';
import { securityHeaders } from './security/security-headers.ts';
import { type SessionOptions, sessionMiddleware } from './session/session-middleware.ts';

export type AppOptions = {
  production: boolean;
  trustProxy: number | string[] | false;
  log: Logger;
  session: SessionOptions;
  checkStore: () => Promise<unknown>;
  /** Where rate limits are counted that hold over all processes; absent: in this one. */
  sharedHits?: (name: string) => HitStore;
  accounts: Accounts;
  products: readonly Product[];
  /** Shown on the log-in page. */
  demoLogins: readonly { email: string; password: string }[];
};

const folder = (name: string) => new URL(`../${name}`, import.meta.url).pathname;

/** The whole app, in the order in which a request meets it. */
export function createApp(options: AppOptions): Express {
  const { production, log, session, checkStore, accounts, products, demoLogins } = options;
  const catalogue = createCatalogue(products);
  const app = express();
  app.disable('x-powered-by');
  app.set('trust proxy', options.trustProxy);
  app.set('etag', false); // a page of a session is new each time
  app.set('views', folder('views'));
  app.set('view engine', 'ejs');
  // Views read `page.title`, not `title`: without `with`, a misspelt name fails and rendering is fast.
  app.engine('ejs', (path, page, done) => {
    const { settings: _, ...values } = page as Record<string, unknown>;
    ejs.renderFile(
      path,
      values,
      { cache: production, _with: false, localsName: 'page', root: folder('views') },
      done,
    );
  });

  app.use(requestLog(log));
  app.use(refuseAmbiguousHost, securityHeaders({ https: production }));
  app.use(
    '/assets',
    express.static(folder('public'), {
      index: false,
      redirect: false,
      maxAge: production ? '1h' : 0,
    }),
    notFound,
  );
  mount(app, healthRoutes(healthHandlers({ checkStore })));

  app.use((_req, res, next) => {
    res.set('Cache-Control', 'no-store').vary('Accept');
    next();
  });
  app.use(refuseCrossSite, bodyParsers, sessionMiddleware(session), warnOfLostCookie(log));
  mount(
    app,
    shopRoutes({
      shop: shopHandlers({ catalogue }),
      accounts: accountHandlers({ accounts, demoLogins }),
      cart: cartHandlers({ catalogue }),
      limits: rateLimits(options.sharedHits ?? (() => undefined)),
    }),
  );
  app.use(notFound, errorHandler);
  return app;
}
