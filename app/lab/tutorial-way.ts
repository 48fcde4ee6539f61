import express, { type Request } from 'express';
import session, { MemoryStore } from 'express-session';

/**
 * THE TUTORIALS' WAY, its mistakes left in. Do not copy. The race lab runs it inside the process, on
 * a store of its own that lives for one race; no visitor's cookie or session ever meets it.
 */
export function tutorialWay(pause: () => Promise<void>) {
  const app = express();
  app.use(
    session({
      store: new MemoryStore(),
      secret: 'keyboard cat',
      resave: false,
      saveUninitialized: false,
    }),
  );
  app.post('/log-in', (req, res) => {
    loose(req).user = 'Ada';
    res.json({});
  });
  app.post('/add/:item', async (req, res) => {
    if ('slow' in req.query) await pause();
    const { cart = {} } = loose(req);
    loose(req).cart = { ...cart, [req.params.item]: (cart[req.params.item] ?? 0) + 1 };
    res.json({});
  });
  app.post('/log-out', (req, res) => {
    req.session.destroy(() => res.json({}));
  });
  app.get('/', (req, res) => {
    const { user = null, cart = {} } = loose(req);
    res.json({ user, cart });
  });
  return app;
}

type Loose = { user?: string; cart?: Record<string, number> };
const loose = (req: Request) => req.session as unknown as Loose;
