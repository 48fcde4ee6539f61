// Hono with its built-in signed cookie. The session itself is twenty lines over Redis.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { serve } from '@hono/node-server';
import ejs from 'ejs';
import { Hono } from 'hono';
import { getSignedCookie, setSignedCookie } from 'hono/cookie';
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
  VIEWS,
  type Visit,
} from './shop.ts';

const client = await connect();
const app = new Hono<{ Variables: { id: string; visit: Visit } }>();

app.use(async (c, next) => {
  const known = await getSignedCookie(c, SECRET, 'sid');
  const text = known && (await client.get(`sess:${known}`));
  const id = text ? known : randomBytes(24).toString('base64url');
  c.set('id', id);
  c.set('visit', text ? JSON.parse(text) : {});
  await next();
  await client.set(`sess:${id}`, JSON.stringify(c.get('visit')), {
    expiration: { type: 'EX', value: IDLE_SECONDS },
  });
  if (!text) {
    const attributes = { httpOnly: true, sameSite: 'Lax', path: '/' } as const;
    await setSignedCookie(c, 'sid', id, SECRET, attributes);
  }
});

// EJS in its fastest mode: compiled once, without `with`.
const options = { cache: true, root: VIEWS, _with: false, localsName: 'page' };
const shop = join(VIEWS, 'catalogue/shop.ejs');

app.get('/', async (c) => {
  countView(c.get('visit'));
  return c.html(await ejs.renderFile(shop, pageOf(c.get('id'), c.get('visit')), options));
});

app.post('/cart/lines', async (c) => {
  putInCart(c.get('visit'), await c.req.parseBody<Line>());
  return c.redirect('/cart');
});

app.post('/login', async (c) => {
  const user = await authenticate(await c.req.parseBody<Credentials>());
  if (!user) return c.body(null, 403);
  c.get('visit').user = user;
  return c.redirect('/');
});

serve({ fetch: app.fetch, port: PORT, hostname: '127.0.0.1' });
