// The app that the tutorials build, on today's packages. The argument `careful` adds what the better
// tutorials add: helmet, a log line for each request, CSRF tokens, a Secure cookie, a new id at log-in.
import { promisify } from 'node:util';
import { RedisStore } from 'connect-redis';
import { csrfSync } from 'csrf-sync';
import express, { type Request, type RequestHandler } from 'express';
import session, { type Session } from 'express-session';
import helmet from 'helmet';
import { pinoHttp } from 'pino-http';
import {
  authenticate,
  connect,
  countView,
  IDLE_SECONDS,
  PORT,
  PUBLIC,
  pageOf,
  putInCart,
  SECRET,
  TUTORIAL_VIEWS,
  type Visit,
} from './shop.ts';

const careful = process.argv.includes('careful');
const client = await connect();
const visitOf = (req: Request) => req.session as unknown as Visit;

const app = express();
app.set('view engine', 'ejs');
app.set('views', TUTORIAL_VIEWS);
if (careful) {
  app.set('trust proxy', 1);
  app.use(pinoHttp(), helmet());
}
app.use(express.static(PUBLIC));
app.use(express.urlencoded({ extended: true }));
app.use(
  session({
    store: new RedisStore({ client }),
    secret: SECRET,
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge: IDLE_SECONDS * 1000, secure: careful },
  }),
);
if (careful) {
  const { csrfSynchronisedProtection, generateToken } = csrfSync();
  // The token is in a header, so that the pages of all peers are the same.
  const sendToken: RequestHandler = (req, res, next) => {
    if (req.method === 'GET') res.set('X-CSRF-Token', generateToken(req));
    next();
  };
  app.use(csrfSynchronisedProtection, sendToken);
}

app.get('/', (req, res) => {
  countView(visitOf(req));
  res.render('catalogue/shop', pageOf(req.sessionID, visitOf(req)));
});

app.post('/cart/lines', (req, res) => {
  putInCart(visitOf(req), req.body);
  res.redirect('/cart');
});

app.post('/login', async (req, res) => {
  const user = await authenticate(req.body);
  if (!user) return res.sendStatus(403);
  if (careful) {
    const { views = 0, cart = {} } = visitOf(req);
    await promisify((done: (error?: unknown) => void) =>
      (req.session as Session).regenerate(done),
    )();
    Object.assign(req.session, { views, cart });
  }
  visitOf(req).user = user;
  res.redirect('/');
});

app.listen(PORT, '127.0.0.1');
