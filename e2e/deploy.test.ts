// Runs the files of deploy/ in the programs they are for.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { request } from 'node:https';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, describe, it, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { startCaddy } from '../test-support/caddy.ts';
import { freePort } from '../test-support/free-port.ts';
import { type Listening, listen } from '../test-support/listen.ts';
import { startNginx } from '../test-support/nginx.ts';
import type { TlsProxy } from '../test-support/proxy.ts';
import { until } from '../test-support/until.ts';

type Ask = { method?: string; headers?: Record<string, string>; body?: string };

/** Sends a request over a new TLS connection that trusts only the proxy's CA. */
async function ask({ origin, caFile }: TlsProxy, path = '/', { method, headers, body }: Ask = {}) {
  const ca = await readFile(caFile);
  const { hostname: servername } = new URL(origin);
  const sent = request(origin + path, { ca, servername, agent: false, method, headers }).end(body);
  const [response]: IncomingMessage[] = await once(sent, 'response');
  assert.ok(response);
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}

/** An app that answers with its name and the request headers it got. */
const echo = (name: string, seen: (req: IncomingMessage) => void = () => {}) =>
  listen((req, res) => {
    seen(req);
    res.end(JSON.stringify({ name, method: req.method, headers: req.headersDistinct }));
  });

const forged = {
  'X-Forwarded-For': '203.0.113.9',
  'X-Forwarded-Proto': 'gopher',
  'X-Forwarded-Host': 'evil.test',
  Forwarded: 'for=203.0.113.9;proto=gopher;host=evil.test',
  'X-Request-Id': 'forged',
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
};

const proxies = {
  'nginx/cloakroom.conf': startNginx,
  'caddy/Caddyfile': startCaddy,
  'docker/Caddyfile': (ports: number[]) => startCaddy(ports, 'docker/Caddyfile'),
};

for (const [file, start] of Object.entries(proxies))
  describe(`deploy/${file}`, () => {
    const stack = new AsyncDisposableStack();
    let app: Listening;
    let proxy: TlsProxy;
    before(async () => {
      app = stack.adopt(await echo('a'), ({ close }) => close());
      proxy = stack.adopt(await start([app.port]), ({ stop }) => stop());
    });
    after(() => stack.disposeAsync());

    it('passes the visitor’s address, scheme and host to the app, whatever the visitor claims', async () => {
      for (const headers of [{}, forged]) {
        const { headers: seen } = JSON.parse((await ask(proxy, '/', { headers })).body);
        const { host } = new URL(proxy.origin);
        assert.deepEqual(seen.host, [host]);
        assert.deepEqual(seen['x-forwarded-for'], ['127.0.0.1']);
        assert.deepEqual(seen['x-forwarded-proto'], ['https']);
        assert.deepEqual(seen['x-forwarded-host'], [host]);
        assert.equal(seen.forwarded, undefined);
        assert.equal(seen.traceparent, undefined);
        const [requestId = '', ...more] = seen['x-request-id'];
        assert.match(requestId, /^[\da-f-]{32,36}$/);
        assert.deepEqual(more, []);
      }
    });

    it('redirects HTTP to HTTPS with 308, so that a form stays a POST', async () => {
      const from = `${proxy.httpOrigin}/cart?add=1`;
      const response = await fetch(from, { method: 'POST', headers: forged, redirect: 'manual' });
      assert.equal(response.status, 308);
      // (Caddy redirects to 443, because it thinks that the tests' ports are a container's.)
      const location = response.headers.get('location')?.replace(/:\d+/, '');
      assert.equal(location, 'https://localhost/cart?add=1');
    });

    it('speaks HTTP/2', async () => {
      const session = connectHttp2(proxy.origin, { ca: await readFile(proxy.caFile) });
      const stream = session.request({ ':path': '/' }).end();
      const [headers] = await once(stream, 'response');
      assert.equal(headers[':status'], 200);
      const { headers: seen } = JSON.parse(await text(stream));
      assert.deepEqual(seen['x-forwarded-host'], [new URL(proxy.origin).host]);
      session.close();
    });

    it('leaves nothing behind', async () => {
      const passing = await start([app.port]);
      await passing.stop();
      assert.throws(() => process.kill(passing.pid, 0), { code: 'ESRCH' });
      assert.equal(existsSync(passing.caFile), false);
    });
  });

for (const [file, start] of [
  ['nginx/cloakroom.conf', startNginx],
  ['caddy/Caddyfile', startCaddy],
] as const) {
  test(`deploy/${file} uses both processes, and only the remaining one when one has stopped`, async (t) => {
    const connections = new Set<Socket>();
    let looks = 0;
    const a = await echo('a', ({ socket }) => connections.add(socket));
    const b = await echo('b', ({ url }) => {
      if (url === '/livez') looks++;
    });
    t.after(b.close);
    const proxy = await start([a.port, b.port]);
    t.after(proxy.stop);
    const askMany = async () => {
      const names = new Set<string>();
      for (let count = 0; count < 30; count++) {
        const response = await ask(proxy, '/', { method: 'POST', body: 'coat=1' });
        assert.equal(response.status, 200);
        names.add(JSON.parse(response.body).name);
      }
      return [...names].sort();
    };
    assert.deepEqual(await askMany(), ['a', 'b']);
    // A POST on a closing connection is lost, because it must not be sent twice.
    for (const connection of connections) {
      connection.end();
      if (!connection.closed) await once(connection, 'close'); // by the proxy, too
    }
    await a.close();
    looks = 0;
    // Caddy checks both once a second. The third check shows that the second one is complete.
    if (file === 'caddy/Caddyfile') await until(async () => looks >= 3, 'Caddy has looked');
    assert.deepEqual(await askMany(), ['b']);
  });

  for (const body of ['coat=1', ''])
    test(`deploy/${file} sends a POST of ${body.length} bytes only once, even if the app closes the connection on it`, async (t) => {
      let received = 0;
      const apps = await Promise.all(
        ['a', 'b'].map(() =>
          listen((req, res) => {
            if (req.method !== 'POST') return res.end();
            req.resume().on('end', () => {
              received++;
              req.socket.destroy();
            });
          }),
        ),
      );
      for (const app of apps) t.after(app.close);
      const proxy = await start(apps.map(({ port }) => port));
      t.after(proxy.stop);
      // On a new connection, then on one kept alive.
      assert.equal((await ask(proxy, '/', { method: 'POST', body })).status, 502);
      assert.equal(received, 1);
      for (let count = 0; count < 4; count++) assert.equal((await ask(proxy)).status, 200);
      assert.equal((await ask(proxy, '/', { method: 'POST', body })).status, 502);
      assert.equal(received, 2);
    });

  test(`deploy/${file} reuses connections to the app, and closes an idle one before the app does`, async (t) => {
    let connections = 0;
    let open = 0;
    const atOnce: ServerResponse[] = [];
    const server = createServer({ keepAliveTimeout: 60_000 }, (req, res) => {
      if (req.url !== '/at-once') return res.end();
      if (atOnce.push(res) === 5) for (const each of atOnce) each.end();
    });
    server.on('connection', (socket) => {
      connections++;
      open++;
      socket.once('close', () => {
        open--;
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
      server.close();
      server.closeAllConnections();
    });
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    const proxy = await start([address.port]);
    t.after(proxy.stop);
    connections = 0;
    for (let count = 0; count < 5; count++) await ask(proxy);
    // (A request after a pause of more than half a second opens a new connection.)
    assert.ok(connections < 5, `${connections} connections for 5 requests`);
    await Promise.all(Array.from({ length: 5 }, () => ask(proxy, '/at-once')));
    const { keepAliveTimeout } = createServer();
    // Caddy's health check keeps one connection open.
    await until(async () => open <= 1, 'the idle ones are closed', keepAliveTimeout - 200);
  });
}

/** How long the proxy keeps a connection that sends nothing after `start`. */
async function msUntilHungUp({ origin, caFile }: TlsProxy, start: string): Promise<number> {
  const { hostname, port } = new URL(origin);
  const ca = await readFile(caFile);
  const socket = connectTls({ host: hostname, servername: hostname, port: Number(port), ca });
  socket.on('error', () => {}); // a reset counts, too
  socket.write(start);
  const started = performance.now();
  await new Promise((resolve) => socket.resume().once('close', resolve));
  return performance.now() - started;
}

const oneSecond = {
  'nginx/cloakroom.conf': (ports: number[]) =>
    startNginx(ports, {
      'client_header_timeout 10s': 'client_header_timeout 1s',
      'client_body_timeout 10s': 'client_body_timeout 1s',
    }),
  'caddy/Caddyfile': (ports: number[]) => startCaddy(ports, 'caddy/Caddyfile', withOneSecond),
  'docker/Caddyfile': (ports: number[]) => startCaddy(ports, 'docker/Caddyfile', withOneSecond),
};

function withOneSecond(caddyfile: string): string {
  const short = caddyfile.replace(/read_header 10s/, 'read_header 1s');
  return short.replace(/read_body 10s/, 'read_body 1s');
}

for (const [file, start] of Object.entries(oneSecond))
  test(`deploy/${file} gives up on slow visitors`, async (t) => {
    const app = await echo('a');
    t.after(app.close);
    const proxy = await start([app.port]);
    t.after(proxy.stop);
    const head = 'POST / HTTP/1.1\r\nHost: localhost\r\n';
    const times = await Promise.all([
      msUntilHungUp(proxy, head),
      msUntilHungUp(proxy, `${head}Content-Length: 10\r\n\r\nslow`),
    ]);
    // By default, nginx waits 60 s, and Caddy waits for ever.
    for (const ms of times) assert.ok(ms > 900 && ms < 9000, `hung up after ${ms} ms`);
  });

describe('deploy/nginx/cloakroom.conf in a stock nginx.conf', () => {
  const stack = new AsyncDisposableStack();
  let proxy: TlsProxy;
  before(async () => {
    const app = await listen((_req, res) => {
      for (const name of Object.keys(ownHeaders)) res.setHeader(name, 'of the app');
      res.setHeader('Content-Type', 'text/html').end('<p>coat</p>'.repeat(500));
    });
    stack.adopt(app, ({ close }) => close());
    proxy = stack.adopt(await startNginx([app.port]), ({ stop }) => stop());
  });
  after(() => stack.disposeAsync());

  const ownHeaders = {
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'x-content-type-options': 'nosniff',
  };

  it('never compresses a page: BREACH reads secrets from the size', async () => {
    const { headers, body } = await ask(proxy, '/', { headers: { 'Accept-Encoding': 'gzip, br' } });
    assert.equal(headers['content-encoding'], undefined);
    assert.match(body, /^<p>coat/);
  });

  it('passes on the security headers of the app, and adds them to its own pages', async () => {
    const { headers } = await ask(proxy);
    for (const name of Object.keys(ownHeaders)) assert.equal(headers[name], 'of the app');
    const own = {
      400: await ask(proxy, '/', { headers: { 'X-Long': 'x'.repeat(9000) } }),
      413: await ask(proxy, '/', { method: 'POST', body: 'x'.repeat(65 * 1024) }),
      414: await ask(proxy, `/${'x'.repeat(9000)}`),
      421: await ask(proxy, '/', { headers: { Host: 'evil.test' } }),
    };
    for (const [status, response] of Object.entries(own)) {
      assert.equal(response.status, Number(status));
      for (const [name, value] of Object.entries(ownHeaders))
        assert.equal(response.headers[name], value, `${name} of ${status}`);
      assert.equal(response.headers.server, 'nginx');
    }
  });

  it('adds them even when no process of the app can be reached', async (t) => {
    const alone = await startNginx([await freePort()]);
    t.after(alone.stop);
    const { status, headers } = await ask(alone);
    assert.deepEqual([status, headers['x-content-type-options']], [502, 'nosniff']);
  });

  it('answers only to its own host name', async () => {
    const { host } = new URL(proxy.origin);
    for (const name of [host, 'LOCALHOST', 'localhost.', 'localhost:443'])
      assert.equal((await ask(proxy, '/', { headers: { Host: name } })).status, 200, name);
    for (const name of ['evil.test', '127.0.0.1', 'localhost.evil.test', 'xlocalhost'])
      assert.equal((await ask(proxy, '/', { headers: { Host: name } })).status, 421, name);
  });
});
