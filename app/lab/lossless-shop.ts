import express from 'express';
import {
  endSession,
  memoryBackend,
  newSession,
  renewSession,
  sessionMiddleware,
  updateSession,
} from '../session/index.ts';

/** The small shop of tutorial-shop.ts, built on `app/session/`. */
export function losslessShop(
  pause: () => Promise<void>,
  { deviceBound = false, now = Date.now } = {},
) {
  const app = express();
  app.set('env', 'test').set('trust proxy', true); // Express prints no errors, and trusts X-Forwarded-Proto
  const attributes = { path: '/', httpOnly: true, secure: deviceBound, sameSite: 'lax' } as const;
  app.use(
    sessionMiddleware({
      backend: memoryBackend(),
      secrets: ['in-process'],
      cookie: { name: 'lab', attributes },
      idleMs: 60_000,
      absoluteMs: 60_000,
      deviceBound,
      now,
    }),
  );
  app.post('/log-in', async (req, res) => {
    const user = { id: 'lab', email: 'ada@cloakroom.test', name: 'Ada' };
    await renewSession(req, () => ({ ...newSession(), user }));
    res.json({});
  });
  app.post('/add/:item', async (req, res) => {
    if ('slow' in req.query) await pause();
    await updateSession(req, (draft) => {
      const { cart = {} } = draft;
      draft.cart = { ...cart, [req.params.item]: (cart[req.params.item] ?? 0) + 1 };
    });
    res.json({});
  });
  app.post('/log-out', async (req, res) => {
    await endSession(req, res);
    res.json({});
  });
  app.get('/', (req, res) => {
    const { user, cart = {} } = req.session;
    res.json({ user: user?.name ?? null, cart });
  });
  return app;
}
