import { setTimeout as sleep } from 'node:timers/promises';
import express, { type RequestHandler } from 'express';

// Untyped, as in the tutorials.
// biome-ignore lint/suspicious/noExplicitAny: the tutorials are in JavaScript
export type Loose = any;

/** How an app changes its session. The tutorials assign to `req.session`. */
export type Style = {
  change(req: Loose, edit: (session: Loose) => void): Promise<void> | void;
  logOut(req: Loose, res: Loose): Promise<void> | void;
};

export const assigning: Style = {
  change: (req, edit) => edit(req.session),
  logOut: (req) =>
    new Promise((resolve, reject) => {
      req.session.destroy((error: unknown) => (error ? reject(error) : resolve()));
    }),
};

/** The tutorials' app: a counter, log-in, log-out. */
export function leagueApp(
  sessions: RequestHandler | RequestHandler[],
  style: Style,
  { waitMs = 50 } = {},
) {
  const app = express();
  app.set('env', 'test'); // so that Express prints no errors
  app.use(sessions);
  const slow = { arrived: Promise.withResolvers<void>(), goOn: Promise.withResolvers<void>() };

  // Like handlers that query a database: the session is loaded, they wait, and then they change it.
  const simulateQuery = async () => {
    if (waitMs > 0) await sleep(Math.random() * waitMs);
  };
  app.post('/add', async (req, res) => {
    await simulateQuery();
    await style.change(req, (session) => {
      session.items = (session.items ?? 0) + 1;
    });
    res.json({});
  });
  app.post('/set/:field', async (req, res) => {
    await simulateQuery();
    await style.change(req, (session) => {
      session[req.params.field] = 1;
    });
    res.json({});
  });
  app.post('/slow-add', async (req, res) => {
    slow.arrived.resolve();
    await slow.goOn.promise;
    await style.change(req, (session) => {
      session.items = (session.items ?? 0) + 1;
    });
    res.json({});
  });
  app.post('/log-in', async (req, res) => {
    await style.change(req, (session) => {
      session.user = 'ada';
    });
    res.json({});
  });
  app.post('/log-out', async (req, res) => {
    await style.logOut(req, res);
    res.json({});
  });
  app.get('/items', (req: Loose, res) => {
    res.json({ items: req.session.items });
  });
  app.get('/', (req: Loose, res) => {
    res.json({ ...req.session, cookie: undefined });
  });

  /** Starts a slow request, runs `meanwhile`, and lets the request go on. */
  async function during<T>(request: () => Promise<T>, meanwhile: () => Promise<void>): Promise<T> {
    slow.arrived = Promise.withResolvers();
    slow.goOn = Promise.withResolvers();
    const response = request();
    await slow.arrived.promise;
    await meanwhile();
    slow.goOn.resolve();
    return response;
  }
  return { app, during };
}
