import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import ejs from 'ejs';
import { ADA, PAGE, type Shop, startShop } from '../test-support/start-shop.ts';
import { onEachStore } from '../test-support/stores.ts';
import { until } from '../test-support/until.ts';
import { type Backend, memoryBackend } from './session/index.ts';

const PAGES = ['/', '/login', '/logout', '/cart', '/session', '/guide', '/guide/two-clocks'];
const POSTS = ['/login', '/logout', '/cart/lines', '/cart/lines/bowler-hat', '/cart/clear'];

onEachStore('the shop', (store) => {
  let shop: Shop;
  before(async () => {
    shop = await startShop(store.backend);
  });
  after(() => shop.close());

  it('responds with a page or with JSON, depending on the Accept header', async () => {
    const typeFor = async (accept: string) => {
      const { headers } = await shop.visitor().get('/', { headers: { accept } });
      return headers.get('content-type')?.split(';', 1)[0];
    };
    for (const accept of [
      '*/*',
      'text/*',
      'text/html, */*;q=0.8',
      'text/html, application/json',
      'text/html;charset=utf-8, application/json;charset=utf-8',
      'text/html;level=1;q=0.5, application/json; q=0.4; charset=utf-8',
      'application/json;x=", application/json"; q=0, */*',
    ])
      assert.equal(await typeFor(accept), 'text/html', accept);
    for (const accept of [
      'application/json',
      'application/json; charset=utf-8',
      'Application/JSON;charset="utf-8";q=0.9',
      'application/json;indent=4, text/html;q=0.9',
      'application/json;x="a, text/html"',
      'application/*',
      'text/html;q=0.5, application/json',
      'text/html;q=0.1, */*',
    ])
      assert.equal(await typeFor(accept), 'application/json', accept);
  });

  it('responds with 401, not a log-in page, to a guest who asks for JSON in UTF-8', async () => {
    const headers = { accept: 'application/json; charset=utf-8' };
    const { status, json } = await shop.visitor().get('/account', { headers });
    assert.deepEqual([status, json], [401, { errorMessage: 'Please log in first.' }]);
  });

  it('accepts utf8 as a name of UTF-8', async () => {
    const add = { json: { sku: 'bowler-hat' }, form: { sku: 'bowler-hat' } };
    for (const charset of ['utf-8', 'UTF-8', 'utf8', 'UTF8', '"utf8"; x=y'])
      for (const [kind, body] of Object.entries(add)) {
        const type = kind === 'json' ? 'json' : 'x-www-form-urlencoded';
        const headers = { 'content-type': `application/${type}; charset=${charset}` };
        const { status } = await shop.visitor().post('/cart/lines', { [kind]: body, headers });
        assert.equal(status, 200, `${kind} ${charset}`);
      }
  });

  it('welcomes a visitor at the first view, then counts the views', async () => {
    const visitor = shop.visitor();
    const first = (await visitor.get('/', PAGE)).text;
    assert.match(first, /Welcome/);
    assert.doesNotMatch(first, /Views: /);
    const second = (await visitor.get('/', PAGE)).text;
    assert.match(second, /Views: 2/);
    assert.match(second, /Expires in: <span data-seconds-left>1800<\/span> seconds/);
  });

  it('sends JSON with the views, the time left, the user, the cart and the products', async () => {
    const { status, json } = await shop.visitor().get('/');
    assert.equal(status, 200);
    const { products, ...rest } = json;
    assert.deepEqual(rest, { views: 1, expiresInSeconds: 1800, user: null, cart: { count: 0 } });
    assert.equal(products.length, 10);
    for (const product of products)
      assert.deepEqual(Object.keys(product), ['sku', 'name', 'priceCents', 'currency']);
  });

  it('loses none of 100 simultaneous views', async () => {
    const visitor = shop.visitor();
    await visitor.get('/');
    await Promise.all(Array.from({ length: 100 }, () => visitor.get('/')));
    assert.equal((await visitor.get('/')).json.views, 102);
  });

  it('answers HEAD like GET but without the page, and counts no view', async () => {
    const visitor = shop.visitor();
    await visitor.get('/');
    const page = await visitor.get('/cart', PAGE);
    const head = await visitor.request('HEAD', '/cart', PAGE);
    assert.deepEqual([head.status, head.text], [200, '']);
    assert.ok(Number(head.headers.get('content-length')) > 1000);
    for (const name of ['content-length', 'content-type'])
      assert.equal(head.headers.get(name), page.headers.get(name));
    assert.equal((await visitor.request('HEAD', '/')).status, 200);
    assert.equal((await visitor.get('/')).json.views, 2);
  });

  it('serves each page as HTML and as JSON', async () => {
    for (const path of PAGES) {
      const page = await shop.visitor().get(path, PAGE);
      assert.equal(page.status, 200);
      assert.match(page.headers.get('content-type') ?? '', /^text\/html; charset=utf-8/);
      const json = await shop.visitor().get(path);
      assert.match(json.headers.get('content-type') ?? '', /^application\/json; charset=utf-8/);
      for (const response of [page, json]) {
        assert.equal(response.headers.get('cache-control'), 'no-store');
        assert.equal(response.headers.get('vary'), 'Accept');
      }
    }
  });

  it('sends every refusal as a page and as JSON', async () => {
    const visitor = shop.visitor();
    const type = (value: string) => ({ 'content-type': value });
    const refusals: [number, string, string, object][] = [
      [400, 'POST', '/login', { json: '{"email":' }],
      [403, 'POST', '/login', { json: {} }],
      [404, 'GET', '/nowhere', {}],
      [405, 'PUT', '/cart', {}],
      [409, 'POST', '/cart/lines', { json: { sku: 'bowler-hat', quantity: 99 } }],
      [413, 'POST', '/login', { form: { email: 'x'.repeat(20_000) } }],
      [415, 'POST', '/login', { form: 'a=b', headers: type('text/plain') }],
      [415, 'POST', '/login', { form: 'a=b', headers: type('multipart/form-data; boundary=x') }],
      [415, 'POST', '/login', { json: {}, headers: type('application/json; charset=latin1') }],
      [422, 'POST', '/cart/lines', { json: { sku: 'top-hat' } }],
    ];
    await visitor.post('/cart/lines', { json: { sku: 'bowler-hat' } });
    for (const [status, method, path, options] of refusals) {
      const json = await visitor.request(method, path, options);
      assert.equal(json.status, status, `${status} ${method} ${path}`);
      assert.deepEqual(Object.keys(json.json), ['errorMessage']);
      const headers = { ...('headers' in options && (options.headers as object)), ...PAGE.headers };
      const page = await visitor.request(method, path, { ...options, headers });
      assert.equal(page.status, status);
      assert.match(page.text, /<\/html>/);
      assert.doesNotMatch(page.text, /node_modules|at \w+ \(/);
    }
  });

  it('responds with 405 and Allow to every other method', async () => {
    for (const [path, allow] of [
      ['/', 'GET, HEAD'],
      ['/login', 'GET, HEAD, POST'],
      ['/cart/clear', 'POST'],
      ['/livez', 'GET, HEAD'],
    ] as const) {
      const { status, headers } = await shop.visitor().request('DELETE', path);
      assert.deepEqual([status, headers.get('allow')], [405, allow]);
    }
    assert.equal((await shop.visitor().get('/cart/lines')).status, 405);
  });

  it('refuses every form from another site, and changes nothing', async () => {
    const visitor = shop.visitor();
    await visitor.post('/cart/lines', { json: { sku: 'bowler-hat' } });
    const foreign = [
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { origin: 'https://evil.test' },
      { origin: 'null' },
      { origin: shop.origin.replace(/\d+$/, '1') },
    ];
    for (const headers of foreign)
      for (const path of POSTS)
        assert.equal((await visitor.post(path, { json: {}, headers })).status, 403, path);
    assert.equal((await visitor.get('/')).json.cart.count, 1);
  });

  it('accepts a form from its own pages, and from a client that is not a browser', async () => {
    const headers = [{ 'sec-fetch-site': 'same-origin' }, { origin: shop.origin }, {}];
    for (const own of headers)
      assert.equal((await shop.visitor().post('/cart/clear', { headers: own })).status, 200);
  });

  it('refuses a request with two Host headers', async () => {
    const socket = connect(shop.port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\nConnection: close\r\n\r\n');
    assert.match(await text(socket), /^HTTP\/1\.1 400 /);
  });

  it('sends its security headers with every response', async () => {
    const responses = [
      await shop.visitor().get('/', PAGE),
      await shop.visitor().get('/nowhere'),
      await shop.visitor().get('/livez'),
      await shop.visitor().get('/assets/cloakroom.css'),
      await shop.visitor().post('/login', { json: '{' }),
    ];
    for (const { headers } of responses) {
      const policy = headers.get('content-security-policy') ?? '';
      for (const rule of ["default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"])
        assert.ok(policy.includes(rule), rule);
      assert.equal(headers.get('x-frame-options'), 'DENY');
      assert.equal(headers.get('referrer-policy'), 'same-origin');
      assert.equal(headers.get('x-content-type-options'), 'nosniff');
      assert.equal(headers.get('cross-origin-opener-policy'), 'same-origin');
      assert.equal(headers.get('cross-origin-resource-policy'), 'same-origin');
      for (const none of [
        'x-powered-by',
        'access-control-allow-origin',
        'x-dns-prefetch-control',
        'x-download-options',
        'x-permitted-cross-domain-policies',
        'x-xss-protection',
      ])
        assert.equal(headers.get(none), null, none);
    }
  });

  it('serves its own files and no others', async () => {
    const css = await shop.visitor().get('/assets/cloakroom.css');
    assert.equal(css.status, 200);
    assert.equal(css.headers.get('set-cookie'), null);
    const hidden = ['/assets/', '/assets/products/', '/assets/..%2fpackage.json', '/package.json'];
    for (const path of [...hidden, '/.git/config', '/.env', '/public/', '/assets/.gitignore'])
      assert.equal((await shop.visitor().get(path)).status, 404, path);
  });

  it('answers unusual requests for files and paths with 4xx, not with 500', async () => {
    const file = '/assets/cloakroom.css';
    const range = await shop.visitor().get(file, { headers: { range: 'bytes=9999999-' } });
    assert.equal(range.status, 416);
    const match = await shop
      .visitor()
      .get(file, { headers: { 'if-match': '"x"', ...PAGE.headers } });
    assert.equal(match.status, 412);
    assert.match(match.headers.get('content-type') ?? '', /^text\/html/);
    const socket = connect(shop.port, '127.0.0.1');
    socket.write('OPTIONS * HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n');
    assert.match(await text(socket), /^HTTP\/1\.1 400 /);
  });

  it('has every file that the head of a page names, and gives the full address of the social picture', async () => {
    const head = (await shop.visitor().get('/', PAGE)).text.split('</head>', 1)[0] ?? '';

    const files = [...head.matchAll(/(?:href|src|content)="([^"]*\/assets\/[^"]+)"/g)];
    assert.ok(files.some(([, url]) => url === `${shop.origin}/assets/social.png`));
    for (const [, url = ''] of files)
      assert.equal((await fetch(new URL(url, shop.origin))).status, 200, url);
    const manifest = await shop.visitor().get('/assets/manifest.webmanifest');
    for (const { src } of JSON.parse(manifest.text).icons)
      assert.equal((await shop.visitor().get(src)).status, 200, src);
  });

  it('has a picture for every product', async () => {
    for (const { sku } of (await shop.visitor().get('/')).json.products)
      assert.equal((await shop.visitor().get(`/assets/products/${sku}.svg`)).status, 200, sku);
  });

  it('answers /livez and /readyz before the session, without a cookie', async () => {
    const visitor = shop.visitor();
    await visitor.get('/');
    for (const path of ['/livez', '/readyz']) {
      const { status, headers } = await visitor.get(path);
      assert.deepEqual([status, headers.get('set-cookie')], [200, null]);
    }
  });

  it('logs one line for each request, without its query and cookie', async () => {
    const visitor = shop.visitor();
    await visitor.get('/');
    const { headers } = await visitor.get('/login?next=/secret-place');
    const requestId = headers.get('x-request-id') ?? '?';
    const lines = shop.log.filter((line) => line.includes(requestId));
    assert.equal(lines.length, 1);
    const { method, path, status } = JSON.parse(lines[0] ?? '');
    assert.deepEqual({ method, path, status }, { method: 'GET', path: '/login', status: 200 });
    assert.ok(!shop.log.join().includes('secret-place'));
  });
});

describe('in production', () => {
  const https = { 'x-forwarded-proto': 'https' };
  const env = { NODE_ENV: 'production', SESSION_STORE: 'redis', TRUST_PROXY: 'loopback' };
  let shop: Shop;
  before(async () => {
    shop = await startShop(memoryBackend(), {}, env);
  });
  after(() => shop.close());

  it('sets the cookie __Host-sid: Secure, HttpOnly, SameSite=Lax, Path=/, no Domain', async () => {
    const visitor = shop.visitor();
    const set = (await visitor.get('/', { headers: https })).headers.get('set-cookie') ?? '';
    assert.match(set, /^__Host-sid=[^;]+; Path=\/; HttpOnly; Secure; SameSite=Lax$/);
    const clear = (await visitor.post('/logout', { headers: https })).headers.get('set-cookie');
    assert.equal(
      clear,
      '__Host-sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Secure; SameSite=Lax',
    );
  });

  it('sends HSTS for a year, for this host only, unless HSTS says otherwise', async (t) => {
    const { headers } = await shop.visitor().get('/livez');
    assert.equal(headers.get('strict-transport-security'), 'max-age=31536000');
    for (const [HSTS, expected] of [
      ['off', null],
      ['300,subdomains', 'max-age=300; includeSubDomains'],
    ] as const) {
      const other = await startShop(memoryBackend(), {}, { ...env, HSTS });
      t.after(other.close);
      const response = await other.visitor().get('/livez');
      assert.equal(response.headers.get('strict-transport-security'), expected);
    }
  });

  it('gives each file an address that changes when any file does', async () => {
    const visitor = shop.visitor();
    const headers = { ...https, ...PAGE.headers };
    await visitor.post('/cart/lines', { json: { sku: 'bowler-hat' }, headers });
    const urls = new Set<string>();
    for (const path of ['/', '/cart', '/login', '/register', '/session']) {
      const page = await visitor.get(path, { headers });
      for (const [, url = ''] of page.text.matchAll(/"([^"]*\/assets\/[^"]+)"/g)) urls.add(url);
    }
    assert.ok(urls.size > 10);
    for (const url of urls) {
      assert.match(url, /\/assets\/[0-9a-f]{12}\//);
      const file = await fetch(new URL(new URL(url, shop.origin).pathname, shop.origin));
      assert.equal(file.status, 200, url);
      assert.equal(file.headers.get('cache-control'), 'public, max-age=31536000, immutable');
    }
  });

  it('shows no demo password', async () => {
    const { text: page } = await shop
      .visitor()
      .get('/login', { headers: { ...https, ...PAGE.headers } });
    assert.ok(!page.includes(ADA.password));
  });

  it('warns that no cookie arrives over plain HTTP, and stores nothing', async () => {
    const visitor = shop.visitor();
    for (let view = 0; view < 3; view++) {
      const page = await visitor.get('/', PAGE);
      assert.equal(page.status, 200);
      assert.match(
        page.text,
        /Nobody can log in here yet.*The request has no X-Forwarded-Proto header/s,
      );
      assert.equal(page.headers.get('set-cookie'), null);
    }
    const login = await visitor.post('/login', { json: ADA });
    assert.equal(login.status, 400);
    assert.match(login.json.errorMessage, /HTTPS/);
    const warnings = shop.log.filter((line) => line.includes('nobody can log in'));
    assert.equal(warnings.length, 1, 'one warning, not one for each request');
  });

  it('believes X-Forwarded-Proto only from a trusted proxy, and says what to change', async (t) => {
    const wary = await startShop(memoryBackend(), {}, { ...env, TRUST_PROXY: '10.0.0.1' });
    t.after(wary.close);
    const headers = { ...https, ...PAGE.headers, 'x-forwarded-for': '203.0.113.7' };
    const page = await wary.visitor().get('/login', { headers });
    assert.equal(page.headers.get('set-cookie'), null);
    assert.match(page.text, /came from 127\.0\.0\.1, which TRUST_PROXY does not trust/);
    assert.match(page.text, /<code>TRUST_PROXY=loopback<\/code>/);
    assert.match(page.text, /<dd>203\.0\.113\.7<\/dd>/);
    const line = JSON.parse(wary.log.find((entry) => entry.includes('nobody can log in')) ?? '{}');
    const { scheme, client, peer, forwardedProto } = line;
    assert.deepEqual(
      [scheme, client, peer, forwardedProto],
      ['http', '127.0.0.1', '127.0.0.1', 'https'],
    );
  });

  it('stores the change of a client that leaves before the store has answered', async (t) => {
    const backend = memoryBackend();
    const { get } = backend;
    const slow = await startShop(backend, {}, env);
    t.after(slow.close);
    const visitor = slow.visitor();
    const headers = { ...https, 'sec-fetch-site': 'same-origin' };
    await visitor.post('/cart/lines', { json: { sku: 'bowler-hat' }, headers });
    let asked = () => {};
    const underWay = new Promise<void>((resolve) => {
      asked = resolve;
    });
    let answer = () => {};
    const gone = new Promise<void>((resolve) => {
      answer = resolve;
    });
    backend.get = async (key) => {
      asked();
      await gone;
      return get(key);
    };
    const body = '{"sku":"bowler-hat"}';
    const socket = connect(slow.port, '127.0.0.1');
    socket.write(
      `POST /cart/lines HTTP/1.1\r\nHost: shop\r\nX-Forwarded-Proto: https\r\nCookie: ${visitor.cookie}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await underWay;
    socket.resetAndDestroy();
    await sleep(50);
    backend.get = get;
    answer();
    await until(
      async () => (await visitor.get('/cart', { headers })).json.count === 2,
      'the line is added',
    );
    assert.doesNotMatch(slow.log.join(), /nobody can log in|HTTPS only/);
  });

  it('distinguishes a proxy that sends no header, one reached over http, and one that is not trusted', async () => {
    const login = async (headers: object) =>
      (await shop.visitor().get('/login', { headers: { ...PAGE.headers, ...headers } })).text;
    assert.match(await login({}), /proxy_set_header X-Forwarded-Proto \$scheme;/);
    assert.match(await login({ 'x-forwarded-proto': 'http' }), /return 308 https:/);
    assert.doesNotMatch(await login(https), /Nobody can log in/);
  });
});

describe('when the store fails', () => {
  it('offers to try the same address again, and never an address of another site', async (t) => {
    const store = memoryBackend();
    let down = false;
    const get = async (key: string) => (down ? assert.fail('down') : store.get(key));
    const shop = await startShop({ ...store, get });
    t.after(shop.close);
    const visitor = shop.visitor();
    await visitor.get('/');
    down = true;
    for (const [path, again] of [
      ['/cart', '/cart'],
      ['/login?next=/cart', '/login?next=/cart'],
      ['//evil.example/x', '/'],
      ['/.//evil.example/x', '/'],
    ]) {
      const page = await visitor.get(`${path}`, PAGE);
      const [, link] = /href="([^"]*)">Try again</.exec(page.text) ?? [];
      assert.deepEqual([page.status, link], [503, again]);
    }
  });

  it('gives up on a silent store, and does not make the next visitor wait', async (t) => {
    const memory = memoryBackend();
    let silent = false;
    const never = new Promise<never>(() => {});
    const backend: Backend = { ...memory, get: (key) => (silent ? never : memory.get(key)) };
    const shop = await startShop(backend, { answerWithinMs: 300 });
    t.after(shop.close);
    const visitor = shop.visitor();
    await visitor.get('/');
    silent = true;
    const time = async () => {
      const started = performance.now();
      assert.equal((await visitor.get('/')).status, 503);
      return performance.now() - started;
    };
    const first = await time();
    assert.ok(Math.min(await time(), await time(), await time()) < first / 2);
    silent = false;
    assert.equal((await visitor.get('/')).status, 200);
  });

  it('responds with 500 to a log-out that fails, and says so', async (t) => {
    const memory = memoryBackend();
    const compareAndSet: Backend['compareAndSet'] = (key, version, next, ttlMs) =>
      next === null
        ? Promise.reject(new Error('down'))
        : memory.compareAndSet(key, version, next, ttlMs);
    const shop = await startShop({ ...memory, compareAndSet });
    t.after(shop.close);
    const visitor = shop.visitor();
    await visitor.get('/');
    const { status, json, headers } = await visitor.post('/logout');
    assert.deepEqual([status, json], [500, { errorMessage: 'Could not log out.' }]);
    assert.equal(headers.get('set-cookie'), null);
    const isLogged = async () =>
      shop.log.some((line) => /unavailable: down.*request failed/.test(line));
    await until(isLogged, 'the reason is logged');
  });
});

onEachStore(
  'a store that fails',
  (store) => {
    it('responds with 503 and Retry-After, never with a success, while files and /livez still answer', async (t) => {
      const [server] = store.masters;
      assert.ok(server);
      const shop = await startShop(store.backend);
      t.after(shop.close);
      const visitor = shop.visitor();
      await visitor.get('/');
      await server.kill();

      const all = [
        ...PAGES.map((path) => ['GET', path] as const),
        ...POSTS.map((path) => ['POST', path] as const),
      ];
      for (const [method, path] of all) {
        const json = await visitor.request(method, path);
        assert.deepEqual([json.status, json.headers.get('retry-after')], [503, '2'], path);
        assert.equal(json.headers.get('set-cookie'), null);
        const page = await visitor.request(method, path, PAGE);
        assert.equal(page.status, 503);
        assert.match(page.text, /The shop is unavailable right now/);
      }
      assert.equal((await visitor.get('/readyz')).status, 503);
      assert.equal((await visitor.get('/livez')).status, 200);
      assert.equal((await visitor.get('/assets/cloakroom.css')).status, 200);

      await server.restart();
      await until(async () => (await visitor.get('/')).status === 200, 'back by itself');
    });

    it('gives 503 when the store refuses the write', async (t) => {
      const [server] = store.masters;
      assert.ok(server);
      t.after(() => server.cli('CONFIG', 'SET', 'min-replicas-to-write', '0'));
      const shop = await startShop(store.backend);
      t.after(shop.close);
      const visitor = shop.visitor();
      await visitor.post('/cart/lines', { json: { sku: 'bowler-hat' } });
      await server.cli('CONFIG', 'SET', 'min-replicas-to-write', '1');
      assert.equal((await visitor.post('/cart/clear')).status, 503);
      assert.equal(
        (await visitor.get('/cart')).json.count,
        1,
        'a page that only reads still answers',
      );
    });
  },
  ['Redis'],
);

it('compiles every view', () => {
  const views = join(import.meta.dirname, '../views');
  const files = readdirSync(views, { recursive: true, encoding: 'utf8' });
  const templates = files.filter((file) => file.endsWith('.ejs'));
  assert.ok(templates.length >= 8);
  for (const file of templates) {
    const template = readFileSync(join(views, file), 'utf8');
    ejs.compile(template, { _with: false, localsName: 'page' });
    assert.ok(!template.includes('/assets/'), `${file} names a file without its fingerprint`);
  }
});

it('logs once that stored sessions do not fit their fields, and names the field', async (t) => {
  const texts = new Map<string, string>();
  const shop = await startShop(memoryBackend(texts));
  t.after(shop.close);
  for (const visitor of [shop.visitor(), shop.visitor()]) {
    await visitor.get('/');
    for (const [key, stored] of texts)
      texts.set(key, stored.replace(/"views":\d+/, '"views":"many"'));
    assert.equal((await visitor.get('/')).json.views, 1);
    assert.equal((await visitor.get('/session', PAGE)).status, 200);
  }
  const isReport = (line: string) => line.includes('views: Invalid input: expected number');
  await until(async () => shop.log.some(isReport), 'logged');
  assert.equal(shop.log.filter(isReport).length, 1);
});

it('a failure that each page repeats is logged once a minute, with a count', async (t) => {
  const memory = memoryBackend();
  let isFull = false;
  const backend: Backend = {
    ...memory,
    compareAndSet: async (...args) => {
      if (isFull) throw new Error('The disk is full');
      return memory.compareAndSet(...args);
    },
  };
  const shop = await startShop(backend);
  t.after(shop.close);
  const visitor = shop.visitor();
  await visitor.post('/cart/lines', { json: { sku: 'bowler-hat' } });
  t.mock.timers.enable({ apis: ['setTimeout'] });
  isFull = true;
  for (let n = 0; n < 20; n++) assert.equal((await visitor.get('/cart')).status, 200);
  const counts = () =>
    shop.log
      .map((line) => JSON.parse(line))
      .filter(({ event }) => event === 'touch-failed')
      .map(({ count }) => count);
  t.mock.timers.tick(60_000);
  assert.deepEqual(counts(), [1, 19]);
});
