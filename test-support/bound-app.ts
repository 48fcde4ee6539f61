import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type Express } from 'express';
import {
  draftOf,
  endSession,
  memoryBackend,
  newSession,
  redisBackend,
  renewSession,
  type SessionOptions,
  sessionMiddleware,
  sessionOf,
  updateSession,
} from '../app/session/index.ts';
import { connectTo } from './connect-to.ts';

const MINUTE = 60_000;

/** A small app whose sessions are bound to the browser, with a log-in that asks for no password. */
export function boundApp(options: Partial<SessionOptions> = {}): Express {
  const app = express();
  app.set('env', 'test').set('trust proxy', true); // Express prints no errors, and trusts X-Forwarded-Proto
  const sessions = sessionMiddleware({
    backend: memoryBackend(),
    secrets: ['a secret of the tests'],
    cookie: {
      name: '__Host-sid',
      attributes: { path: '/', httpOnly: true, secure: true, sameSite: 'lax' },
    },
    idleMs: 30 * MINUTE,
    absoluteMs: 720 * MINUTE,
    deviceBound: true,
    ...options,
  });
  app.get('/stream', async (req, res) => {
    const session = await sessionOf(req, sessions);
    res.json({ user: session?.fields.user?.name ?? null });
  });
  app.use(sessions);
  const user = { id: 'ada', email: 'ada@cloakroom.test', name: 'Ada' };
  app.get('/login', async (req, res) => {
    // As for OpenID Connect, which stores the secrets of a log-in that has begun.
    if ('begin' in req.query)
      await updateSession(req, (draft) => {
        draft.views += 1;
      });
    res.json({ user: req.session.user?.name ?? null });
  });
  app.post('/login', async (req, res) => {
    await renewSession(req, (old) => ({ ...newSession(), views: old?.views ?? 0, user }));
    res.redirect(303, '/');
  });
  app.post('/password', async (req, res) => {
    await renewSession(req, (old) => (old ? draftOf(old) : newSession()), { device: 'keep' });
    res.redirect(303, '/');
  });
  app.post('/logout', async (req, res) => {
    await endSession(req, res);
    res.redirect(303, '/');
  });
  app.all('/{*path}', async (req, res) => {
    if (req.method === 'POST')
      await updateSession(req, (draft) => {
        draft.views += 1;
      });
    res.json({ user: req.session.user?.name ?? null, views: req.session.views });
  });
  return app;
}

// As a process of its own: node test-support/bound-app.ts REDIS_URL SECRET...
if (import.meta.main) {
  const [url = '', ...secrets] = process.argv.slice(2);
  let ahead = 0;
  const now = () => Date.now() + ahead;
  const outer = express().post('/clock/:ahead', (req, res) => {
    ahead = Number(req.params.ahead);
    res.json({});
  });
  const backend = redisBackend(connectTo(url));
  outer.use(boundApp({ backend, secrets, now, answerWithinMs: 300 }));
  const server = createServer(outer).listen(0, '127.0.0.1', () => {
    process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`);
  });
  server.keepAliveTimeout = 60_000; // a shorter one could end while the browser is sending a request
  process.on('SIGTERM', () => {
    server.close(() => process.exit());
    setInterval(() => server.closeIdleConnections(), 20);
  });
}
