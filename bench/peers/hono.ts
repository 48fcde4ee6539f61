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

type Session = { id: string; text: string; visit: shop.Visit };
type Env = { Variables: { session: Session; requestId: string } };
const app = new Hono<Env>();

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

async function load(c: Context<Env>, known: string | false | undefined): Promise<void> {
  const text = (known && (await shop.client.get(`sess:${known}`))) || '';
  c.set('session', text && known ? { id: known, text, visit: JSON.parse(text) } : newSession());
}

const newSession = () => ({ id: randomBytes(24).toString('base64url'), text: '', visit: {} });

const SWAP = `if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1`;

/** Changes the session. If another process changed it meanwhile, loads it and applies `edit` again. */
async function change(c: Context<Env>, edit: (visit: shop.Visit) => void): Promise<void> {
  const { id, text, visit } = c.var.session;
  edit(visit);
  const key = `sess:${id}`;
  const next = JSON.stringify(visit);
  if (withWork) {
    const swap = { keys: [key], arguments: [text, next, `${shop.IDLE_SECONDS}`] };
    if ((await shop.client.eval(SWAP, swap)) !== 1) {
      await load(c, id);
      return change(c, edit);
    }
  } else await shop.client.setEx(key, shop.IDLE_SECONDS, next);
  if (text) return;
  const attributes = { httpOnly: true, sameSite: 'Lax', path: '/', secure: withWork } as const;
  await setSignedCookie(c, 'sid', id, shop.SECRET, attributes);
}

app.use(async (c, next) => {
  await load(c, await getSignedCookie(c, shop.SECRET, 'sid'));
  await next();
});

const view = join(shop.VIEWS, 'catalogue/shop.ejs');

app.get('/', async (c) => {
  await change(c, shop.countView);
  const page = shop.pageOf(c.var.session.id, c.var.session.visit);
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
    const { id, visit } = c.var.session;
    await shop.client.del(`sess:${id}`);
    c.set('session', { ...newSession(), visit });
  }
  await change(c, (visit) => {
    visit.user = user;
  });
  return c.redirect('/');
});

serve({ fetch: app.fetch, port: shop.PORT, hostname: '127.0.0.1' });
