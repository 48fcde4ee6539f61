// The app that the tutorials build with Express, on today's packages.
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { RedisStore } from 'connect-redis';
import { parse } from 'cookie';
import { csrfSync } from 'csrf-sync';
import ejs from 'ejs';
import express, { type Request, type RequestHandler } from 'express';
import { rateLimit } from 'express-rate-limit';
import session, { type Session } from 'express-session';
import helmet from 'helmet';
import * as shop from './shop.ts';
import { CHANGES_PER_MINUTE, lockSession, metrics, record, withWork } from './work.ts';

const visitOf = (req: Request) => req.session as unknown as shop.Visit;

const app = express();
app.set('view engine', 'ejs');
app.set('views', shop.VIEWS);
app.engine('ejs', (file, data, done) => {
  ejs.renderFile(file, data, { cache: true, root: shop.VIEWS }, done);
});
if (withWork) {
  app.set('trust proxy', 1);
  app.use(helmet(), async (req, res, next) => {
    const started = performance.now();
    const requestId = randomUUID();
    res.set('X-Request-Id', requestId);
    res.on('finish', () => {
      const ms = performance.now() - started;
      record({ requestId, method: req.method, path: req.path, status: res.statusCode, ms });
    });
    const cookie = parse(req.headers.cookie ?? '')['connect.sid'];
    if (cookie) res.on('close', await lockSession(cookie));
    next();
  });
}
app.use(express.urlencoded({ extended: true }));
app.use(
  session({
    store: new RedisStore({ client: shop.client }),
    secret: shop.SECRET,
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge: shop.IDLE_SECONDS * 1000, secure: withWork },
  }),
);
if (withWork) {
  const { csrfSynchronisedProtection, generateToken } = csrfSync();
  // The token is in a header, so that the pages of all peers are the same.
  const sendToken: RequestHandler = (req, res, next) => {
    if (req.method === 'GET') res.set('X-CSRF-Token', generateToken(req));
    next();
  };
  app.use(csrfSynchronisedProtection, sendToken);
  app.post('/cart/lines', rateLimit({ windowMs: 60_000, limit: CHANGES_PER_MINUTE }));
  app.get('/metrics', async (_req, res) => {
    res.send(await metrics());
  });
}

app.get('/', (req, res) => {
  shop.countView(visitOf(req));
  res.render('catalogue/shop', { page: shop.pageOf(req.sessionID, visitOf(req)) });
});

app.post('/cart/lines', (req, res) => {
  shop.putInCart(visitOf(req), req.body);
  res.redirect('/cart');
});

app.post('/login', async (req, res) => {
  const user = await shop.authenticate(req.body);
  if (!user) return res.sendStatus(403);
  const { views = 0, cart = {} } = visitOf(req);
  const old = req.session as Session;
  if (withWork) await promisify((done: (error: unknown) => void) => old.regenerate(done))();
  Object.assign(req.session, { views, cart, user });
  res.redirect('/');
});

app.listen(shop.PORT, '127.0.0.1');
