import express, { type Request } from 'express';
import session, { MemoryStore, type Session, Store } from 'express-session';

/** A small shop as tutorials write it, with their mistakes. Do not copy it. No visitor uses it. */
export function tutorialShop(pause: () => Promise<void>) {
  const app = express();
  app.use(
    session({
      store: memoryStore(),
      secret: 'keyboard cat',
      resave: false,
      saveUninitialized: false,
    }),
  );
  app.post('/log-in', (req, res) => {
    looseSession(req).user = 'Ada';
    res.json({});
  });
  app.post('/add/:item', async (req, res) => {
    if ('slow' in req.query) await pause();
    const { cart = {} } = looseSession(req);
    looseSession(req).cart = { ...cart, [req.params.item]: (cart[req.params.item] ?? 0) + 1 };
    res.json({});
  });
  app.post('/log-out', (req, res) => {
    (req.session as Session).destroy(() => res.json({}));
  });
  app.get('/', (req, res) => {
    const { user = null, cart = {} } = looseSession(req);
    res.json({ user, cart });
  });
  return app;
}

/** A MemoryStore of another class: express-session prints a warning about its own in production. */
const memoryStore = (): Store =>
  Object.assign(Object.create(Store.prototype), new MemoryStore(), MemoryStore.prototype);

type LooseSession = { user?: string; cart?: Record<string, number> };
const looseSession = (req: Request) => req.session as unknown as LooseSession;
