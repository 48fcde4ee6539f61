// The app of a reader who copies app/session/: Express, the session and the page.

import express from 'express';
import { createViews } from '../../app/http/views.ts';
import { redisBackend, sessionMiddleware, updateSession } from '../../app/session/index.ts';
import { client, IDLE_SECONDS, PORT, pageOf, SECRET, VIEWS } from './shop.ts';

const render = createViews(VIEWS, true);

const app = express();
app.set('etag', false);
app.use(
  sessionMiddleware({
    backend: redisBackend(client),
    secrets: [SECRET],
    cookie: {
      name: 'sid',
      attributes: { path: '/', httpOnly: true, secure: false, sameSite: 'lax' },
    },
    idleMs: IDLE_SECONDS * 1000,
    absoluteMs: 48 * IDLE_SECONDS * 1000,
  }),
);
app.get('/', async (req, res) => {
  await updateSession(req, (draft) => {
    draft.views += 1;
  });
  const { views, cart = {}, user } = req.session;
  const { once: _, ...page } = pageOf(req.sessionID, { views, cart, ...(user && { user }) });
  res.send(render('catalogue/shop', page));
});
app.listen(PORT, '127.0.0.1');
