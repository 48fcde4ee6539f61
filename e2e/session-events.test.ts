// The stream of /session/events through the proxies of deploy/, in production with one worker.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { after, before, it } from 'node:test';
import { startCaddy } from '../test-support/caddy.ts';
import { startNginx } from '../test-support/nginx.ts';
import type { TlsProxy } from '../test-support/proxy.ts';
import { type RedisServer, startRedis } from '../test-support/redis.ts';
import { type AppServer, startServer } from '../test-support/start-server.ts';
import { ADA } from '../test-support/start-shop.ts';
import { until } from '../test-support/until.ts';

let redis: RedisServer;
let server: AppServer;
const proxies: Record<string, TlsProxy> = {};
before(async () => {
  redis = await startRedis();
  server = await startServer({
    NODE_ENV: 'production',
    REDIS_URL: redis.url,
    SESSION_SECRET: 'f3Xw9Lq2Vb7Nc5Zk8Hs4Jd6Gt1Ry0PmU',
    TRUST_PROXY: 'loopback',
    DEMO_ACCOUNTS: 'on',
  });
  proxies.nginx = await startNginx([server.port]);
  proxies.Caddy = await startCaddy([server.port]);
});
after(async () => {
  for (const proxy of Object.values(proxies)) await proxy.stop();
  await server.stop();
  await redis.stop();
});

type Options = { method?: string; cookie?: string; accept?: string; json?: object };

async function ask({ origin, caFile }: TlsProxy, path: string, options: Options = {}) {
  const { method = 'GET', cookie = '', accept = 'application/json', json } = options;
  const sent = request(origin + path, {
    method,
    ca: await readFile(caFile),
    agent: false,
    headers: { accept, cookie, 'content-type': 'application/json', 'accept-encoding': 'gzip, br' },
  }).end(json && JSON.stringify(json));
  const [response]: IncomingMessage[] = await once(sent, 'response');
  assert.ok(response);
  return response;
}

async function logIn(proxy: TlsProxy): Promise<string> {
  const { headers } = await ask(proxy, '/login', { method: 'POST', json: ADA });
  return headers['set-cookie']?.[0]?.split(';', 1)[0] ?? '';
}

async function openStream(proxy: TlsProxy, cookie: string) {
  const response = await ask(proxy, '/session/events', { cookie, accept: 'text/event-stream' });
  assert.equal(response.headers['content-type'], 'text/event-stream');
  assert.equal(response.headers['content-encoding'], undefined);
  let received = '';
  response.setEncoding('utf8').on('data', (chunk: string) => {
    received += chunk;
  });
  await until(async () => received.includes('{"user":"acct_ada"}'), 'the first event arrives');
  return { ended: once(response, 'end').then(() => received) };
}

it('behind nginx and behind Caddy, each event arrives at once', async (t) => {
  const logOut = async ([name, proxy]: [string, TlsProxy]) => {
    const cookie = await logIn(proxy);
    const { ended } = await openStream(proxy, cookie);
    const started = performance.now();
    await text(await ask(proxy, '/logout', { method: 'POST', cookie }));
    assert.match(await ended, /^data: {"ended":"ended"}$/m);
    t.diagnostic(`${name}: told after ${((performance.now() - started) / 1000).toFixed(1)} s`);
  };
  await Promise.all(Object.entries(proxies).map(logOut));
});

it('SIGHUP ends the streams of the old worker at once, and the new one opens others', async () => {
  const opened: { proxy: TlsProxy; cookie: string; ended: Promise<string> }[] = [];
  for (const proxy of Object.values(proxies)) {
    const cookie = await logIn(proxy);
    opened.push({ proxy, cookie, ...(await openStream(proxy, cookie)) });
  }
  server.kill('SIGHUP');
  for (const { proxy, cookie, ended } of opened) {
    assert.doesNotMatch(await ended, /ended/);
    await openStream(proxy, cookie);
  }
  await until(async () => server.output().includes('All workers were replaced'), 'replaced');
  server.kill('SIGTERM');
  await server.stop();
  assert.doesNotMatch(server.output(), /Some requests are still running/);
});
