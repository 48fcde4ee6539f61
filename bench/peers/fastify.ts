// Fastify with its session plugin, its view plugin and the tutorials' Redis store.
import cookie from '@fastify/cookie';
import formbody from '@fastify/formbody';
import session from '@fastify/session';
import view from '@fastify/view';
import { RedisStore } from 'connect-redis';
import ejs from 'ejs';
import fastify, { type FastifyRequest } from 'fastify';
import {
  authenticate,
  type Credentials,
  connect,
  countView,
  IDLE_SECONDS,
  type Line,
  PORT,
  pageOf,
  putInCart,
  SECRET,
  TUTORIAL_VIEWS,
  type Visit,
} from './shop.ts';

const client = await connect();
const visitOf = (request: FastifyRequest) => request.session as unknown as Visit;

const app = fastify();
await app.register(formbody);
await app.register(cookie);
await app.register(session, {
  secret: SECRET,
  store: new RedisStore({ client }),
  saveUninitialized: false,
  cookie: { secure: false, maxAge: IDLE_SECONDS * 1000 },
});
await app.register(view, { engine: { ejs }, root: TUTORIAL_VIEWS, production: true });

app.get('/', (request, reply) => {
  countView(visitOf(request));
  return reply.view('catalogue/shop.ejs', pageOf(request.session.sessionId, visitOf(request)));
});

app.post('/cart/lines', (request, reply) => {
  putInCart(visitOf(request), request.body as Line);
  return reply.redirect('/cart');
});

app.post('/login', async (request, reply) => {
  const user = await authenticate(request.body as Credentials);
  if (!user) return reply.code(403).send();
  visitOf(request).user = user;
  return reply.redirect('/');
});

await app.listen({ port: PORT, host: '127.0.0.1' });
