import { setTimeout as delay } from 'node:timers/promises';
import express from 'express';
import session, { type Session, type Store } from 'express-session';

// Untyped, as in the tutorials.
// biome-ignore lint/suspicious/noExplicitAny: the tutorials are in JavaScript
type Loose = any;

/**
 * The app that the tutorials build, on today's packages.
 * @param pause what `/slow-add` waits for before it changes the session
 */
export function tutorialApp(
  store: Store,
  pause: () => Promise<unknown>,
  cookie: { secure: boolean } = { secure: false },
) {
  const app = express();
  app.set('env', 'test'); // so that Express prints no errors
  app.use(
    session({ store, secret: 'keyboard cat', resave: false, saveUninitialized: false, cookie }),
  );
  app.post('/add', async (req: Loose, res) => {
    // Like a handler that queries a database. Without the delay, a busy machine runs the requests one
    // after the other.
    await delay(50);
    req.session.items = (req.session.items ?? 0) + 1;
    res.json({ items: req.session.items });
  });
  app.post('/cart/:item', async (req: Loose, res) => {
    await delay(50);
    req.session.cart = { ...req.session.cart, [req.params.item]: 1 };
    req.session.items = (req.session.items ?? 0) + 1;
    res.json({});
  });
  app.post('/slow-add', async (req: Loose, res) => {
    await pause();
    req.session.items = (req.session.items ?? 0) + 1;
    res.json({});
  });
  app.post('/login', (req: Loose, res) => {
    req.session.user = 'ada';
    res.json({});
  });
  app.post('/logout', (req, res) => {
    (req.session as Session).destroy(() => res.json({}));
  });
  app.get('/', (req: Loose, res) => res.json({ ...req.session, cookie: undefined }));
  return app;
}
