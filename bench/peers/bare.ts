// The upper bound: node:http, the cookie's signature checked, one GET, one SET, and the same bytes,
// joined from prebuilt parts. With the argument `headers`, the app's own headers and log line, too.
import { randomBytes, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { sign, unsign } from 'cookie-signature';
import ejs from 'ejs';
import { securityHeaders } from '../../app/http/security-headers.ts';
import { buffered, createLog } from '../../app/observe/log.ts';
import { connect, countView, IDLE_SECONDS, PORT, pageOf, SECRET, VIEWS } from './shop.ts';

const client = await connect();
const log = process.argv.includes('headers') ? createLog('info', buffered()) : undefined;

const headers = new Map([['Content-Type', 'text/html; charset=utf-8']]);
if (log) {
  headers.set('Cache-Control', 'no-store').set('Vary', 'Accept');
  const recorder = {
    setHeaders: (more: Map<string, string>) =>
      more.forEach((value, name) => {
        headers.set(name, value);
      }),
  };
  securityHeaders(false)({} as never, recorder as never, () => {});
}
const common = Object.fromEntries(headers);

// The page, split where it differs between visitors.
const page = pageOf('@id@', {});
const marked = { ...page, ticket: { ...page.ticket, number: '@id@', views: '@views@' } };
const html = await ejs.renderFile(join(VIEWS, 'catalogue/shop.ejs'), marked, {
  root: VIEWS,
  _with: false,
  localsName: 'page',
});
const [head = '', middle = '', tail = ''] = html.split(/@id@|@views@/);

async function answer(req: IncomingMessage, res: ServerResponse) {
  const started = performance.now();
  const signed = /(?:^|; )sid=s%3A([^;]+)/.exec(req.headers.cookie ?? '')?.[1];
  const known = signed && unsign(decodeURIComponent(signed), SECRET);
  const text = known && (await client.get(`sess:${known}`));
  const id = text ? known : randomBytes(24).toString('base64url');
  const visit = text ? JSON.parse(text) : {};
  countView(visit);
  await client.set(`sess:${id}`, JSON.stringify(visit), {
    expiration: { type: 'EX', value: IDLE_SECONDS },
  });
  const body = Buffer.from(`${head}${id.slice(0, 4)}${middle}${visit.views}${tail}`);
  const requestId = log && randomUUID();
  res.writeHead(200, {
    ...common,
    'Content-Length': body.length,
    ...(!text && {
      'Set-Cookie': `sid=${encodeURIComponent(`s:${sign(id, SECRET)}`)}; Path=/; HttpOnly; SameSite=Lax`,
    }),
    ...(requestId && { 'X-Request-Id': requestId }),
  });
  res.end(body);
  const ms = Math.round(performance.now() - started);
  log?.info(
    { requestId, session: id.slice(0, 16), method: req.method, path: req.url, status: 200, ms },
    'request',
  );
}

createServer((req, res) => void answer(req, res)).listen(PORT, '127.0.0.1');
