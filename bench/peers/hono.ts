// Hono with its signed cookie. The session itself is a few lines over Redis: written whole by the bare
// app, and by compare-and-set with the shop's work.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { serve } from '@hono/node-server';
import ejs from 'ejs';
import { type Context, Hono } from 'hono';
import { getSignedCookie, setSignedCookie } from 'hono/cookie';
import { csrf } from 'hono/csrf';
import { requestId } from 'hono/request-id';
import { secureHeaders } from 'hono/secure-headers';
import { rateLimiter } from 'hono-rate-limiter';
import * as shop from './shop.ts';
import { CHANGES_PER_MINUTE, metrics, record, withWork } from './work.ts';

type Variables = { id: string; visit: shop.Visit; text: string; requestId: string };
type Shop = Context<{ Variables: Variables }>;
const app = new Hono<{ Variables: Variables }>();

if (withWork) {
  app.use(requestId(), async (c, next) => {
    const started = performance.now();
    await next();
    const { method, path } = c.req;
    const ms = performance.now() - started;
    record({ requestId: c.var.requestId, method, path, status: c.res.status, ms });
  });
  app.use(secureHeaders({ contentSecurityPolicy: { defaultSrc: ["'self'"] } }), csrf());
  app.get('/metrics', async (c) => c.text(await metrics()));
  const keyGenerator = (c: Context) => c.req.header('X-Forwarded-For') ?? '';
  app.post('/cart/lines', rateLimiter({ limit: CHANGES_PER_MINUTE, keyGenerator }));
}

async function load(c: Shop, known: string | false | undefined): Promise<boolean> {
  const text = (known && (await shop.client.get(`sess:${known}`))) || '';
  c.set('id', text && known ? known : randomBytes(24).toString('base64url'));
  c.set('text', text);
  c.set('visit', text ? JSON.parse(text) : {});
  return text !== '';
}

const SWAP = `if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1`;

/** Changes the session. If another process changed it meanwhile, loads it and applies `edit` again. */
async function change(c: Shop, edit: (visit: shop.Visit) => void): Promise<void> {
  const { id, visit, text } = c.var;
  edit(visit);
  const key = `sess:${id}`;
  const next = JSON.stringify(visit);
  if (!withWork) {
    await shop.client.setEx(key, shop.IDLE_SECONDS, next);
    return;
  }
  const swap = { keys: [key], arguments: [text, next, `${shop.IDLE_SECONDS}`] };
  if ((await shop.client.eval(SWAP, swap)) === 1) return;
  await load(c, id);
  await change(c, edit);
}

const setCookie = (c: Shop) =>
  setSignedCookie(c, 'sid', c.var.id, shop.SECRET, {
    httpOnly: true,
    sameSite: 'Lax',
    path: '/',
    secure: withWork,
  });

app.use(async (c, next) => {
  const isKnown = await load(c, await getSignedCookie(c, shop.SECRET, 'sid'));
  await next();
  if (!isKnown) await setCookie(c);
});

const view = join(shop.VIEWS, 'catalogue/shop.ejs');

app.get('/', async (c) => {
  await change(c, shop.countView);
  const page = shop.pageOf(c.var.id, c.var.visit);
  return c.html(await ejs.renderFile(view, page, shop.EJS_OPTIONS));
});

app.post('/cart/lines', async (c) => {
  const line = await c.req.parseBody<shop.Line>();
  await change(c, (visit) => shop.putInCart(visit, line));
  return c.redirect('/cart');
});

app.post('/login', async (c) => {
  const user = await shop.authenticate(await c.req.parseBody<shop.Credentials>());
  if (!user) return c.body(null, 403);
  if (withWork) {
    await shop.client.del(`sess:${c.var.id}`);
    c.set('id', randomBytes(24).toString('base64url'));
    c.set('text', '');
    await setCookie(c);
  }
  await change(c, (visit) => {
    visit.user = user;
  });
  return c.redirect('/');
});

serve({ fetch: app.fetch, port: shop.PORT, hostname: '127.0.0.1' });
