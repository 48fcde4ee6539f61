// Fastify with its session plugin, its view plugin and the tutorials' Redis store.
import { randomUUID } from 'node:crypto';
import cookie from '@fastify/cookie';
import csrfProtection from '@fastify/csrf-protection';
import formbody from '@fastify/formbody';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import session from '@fastify/session';
import view from '@fastify/view';
import { RedisStore } from 'connect-redis';
import ejs from 'ejs';
import fastify, { type FastifyRequest } from 'fastify';
import * as shop from './shop.ts';
import { CHANGES_PER_MINUTE, lockSession, metrics, record, withWork } from './work.ts';

const visitOf = (request: FastifyRequest) => request.session as unknown as shop.Visit;

// Fastify's own logger would write two lines for each request.
const app = fastify({ trustProxy: '127.0.0.1', genReqId: () => randomUUID() });
await app.register(formbody);
await app.register(cookie);
if (withWork) {
  await app.register(helmet);
  await app.register(rateLimit, { global: false });
  const releases = new WeakMap<FastifyRequest, () => void>();
  app.addHook('onRequest', async (request, reply) => {
    reply.header('X-Request-Id', request.id);
    const { sessionId } = request.cookies;
    if (sessionId) releases.set(request, await lockSession(sessionId));
  });
  app.addHook('onResponse', async (request, reply) => {
    releases.get(request)?.();
    const { id: requestId, method, url: path } = request;
    record({ requestId, method, path, status: reply.statusCode, ms: reply.elapsedTime });
  });
}
await app.register(session, {
  secret: shop.SECRET,
  store: new RedisStore({ client: shop.client }),
  saveUninitialized: false,
  cookie: { secure: withWork, maxAge: shop.IDLE_SECONDS * 1000 },
});
await app.register(view, {
  engine: { ejs },
  root: shop.VIEWS,
  production: true,
  options: shop.EJS_OPTIONS,
});
if (withWork) {
  await app.register(csrfProtection, { sessionPlugin: '@fastify/session' });
  app.addHook('preHandler', (request, reply, done) => {
    if (request.method === 'POST') return app.csrfProtection(request, reply, done);
    // The token is in a header, so that the pages of all peers are the same.
    reply.header('X-CSRF-Token', reply.generateCsrf());
    done();
  });
  app.get('/metrics', metrics);
}

app.get('/', (request, reply) => {
  shop.countView(visitOf(request));
  const page = shop.pageOf(request.session.sessionId, visitOf(request));
  return reply.view('catalogue/shop.ejs', page);
});

const limited = { config: { rateLimit: { max: CHANGES_PER_MINUTE, timeWindow: '1 minute' } } };
app.post('/cart/lines', withWork ? limited : {}, (request, reply) => {
  shop.putInCart(visitOf(request), request.body as shop.Line);
  return reply.redirect('/cart');
});

app.post('/login', async (request, reply) => {
  const user = await shop.authenticate(request.body as shop.Credentials);
  if (!user) return reply.code(403).send();
  if (withWork) await request.session.regenerate(['views', 'cart'] as never[]);
  visitOf(request).user = user;
  return reply.redirect('/');
});

await app.listen({ port: shop.PORT, host: '127.0.0.1' });
