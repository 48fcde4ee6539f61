import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, beforeEach, it } from 'node:test';
import { boundApp } from '../../test-support/bound-app.ts';
import {
  ask,
  type BoundBrowser,
  boundBrowser,
  ecKeys,
  type Keys,
  proofOf,
} from '../../test-support/bound-browser.ts';
import { type Listening, listen } from '../../test-support/listen.ts';
import { readProof } from '../session/device-proof.ts';
import {
  type Backend,
  memoryBackend,
  type SessionEvent,
  type SessionOptions,
} from '../session/index.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const COOKIE = '__Host-device';
const NAVIGATE = { 'sec-fetch-mode': 'navigate' };

let clock = Date.now();
const now = () => clock;
const store = failing(memoryBackend());
let events: SessionEvent[] = [];
let app: Listening;
let browser: BoundBrowser;

type Failing = Backend & { fails?: boolean; beforeWrite?: (() => Promise<unknown>) | undefined };

/** A backend that fails while `fails` is set, and calls `beforeWrite` once. */
function failing(backend: Backend): Failing {
  const whenUp =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    async (...args: A) => {
      if (wrapped.fails) throw new Error('down');
      return call(...args);
    };
  const wrapped: Failing = {
    get: whenUp((key) => backend.get(key)),
    compareAndSet: whenUp(async (...args) => {
      const { beforeWrite } = wrapped;
      wrapped.beforeWrite = undefined;
      await beforeWrite?.();
      return backend.compareAndSet(...args);
    }),
    destroy: whenUp((key) => backend.destroy(key)),
  };
  return wrapped;
}

const start = (options: Partial<SessionOptions> = {}) =>
  listen(
    boundApp({ backend: store, now, onEvent: (event) => void events.push(event), ...options }),
  );

before(async () => {
  app = await start();
});
after(() => app.close());
beforeEach(() => {
  events = [];
  browser = boundBrowser(() => app.origin, now);
});

/** Logs in, proves the key once, and waits until the grace period for requests under way is over. */
async function bind(who = browser): Promise<void> {
  await who.request('/login', { method: 'POST' });
  await who.registered();
  assert.equal((await who.request('/')).status, 200);
  clock += 11 * SECOND;
}

const outcomeOf = async (response: Promise<Response>) => {
  const { status, headers } = await response;
  return { status, location: headers.get('location'), refresh: headers.get('refresh') };
};
const userOf = async (response: Promise<Response>) =>
  ((await (await response).json()) as { user: unknown }).user;

/** The cookies that a thief copied from the browser's disk. */
const stolen = (...names: string[]) =>
  [...browser.cookies]
    .filter(([name]) => names.includes(name))
    .map(([name, { value }]) => `${name}=${value}`)
    .join('; ');
const steal = (
  path: string,
  cookie: string,
  headers: Record<string, string> = {},
  method = 'GET',
) => ask(app.origin + path, { method, headers: { cookie, ...headers } });

it('asks for a key at log-in only, and accepts ES256 and RS256', async () => {
  const first = await browser.request('/', { method: 'POST' });
  assert.equal(first.headers.get('secure-session-registration'), null);
  const { headers } = await browser.request('/login', { method: 'POST' });
  assert.match(
    headers.get('secure-session-registration') ?? '',
    /^\(ES256 RS256\);path="\/dbsc\/registration";challenge="\d+\.[\w-]{43}"$/,
  );
});

it('asks for no key without deviceBound', async (t) => {
  const plain = await start({ deviceBound: false });
  t.after(plain.close);
  const visitor = boundBrowser(() => plain.origin, now);
  const { headers } = await visitor.request('/login', { method: 'POST' });
  assert.equal(headers.get('secure-session-registration'), null);
  assert.equal((await visitor.request('/dbsc/refresh', { method: 'POST' })).status, 200); // the app's
});

it('refuses, when the app starts, a cookie that browsers would not bind', () => {
  const lax = { path: '/', httpOnly: true, secure: true, sameSite: 'lax' } as const;
  for (const wrong of [
    { secure: false },
    { path: '/a' },
    { domain: 'a.test' },
    { partitioned: true },
  ])
    assert.throws(
      () => boundApp({ cookie: { name: 'sid', attributes: { ...lax, ...wrong } } }),
      /deviceBound needs/,
    );
});

it('refuses a stolen session cookie alone, and accepts it with the bound cookie for ten minutes only', async () => {
  await bind();
  const sessionCookie = stolen('__Host-sid');
  const both = stolen('__Host-sid', COOKIE);
  assert.equal((await steal('/', sessionCookie)).status, 401);
  assert.equal(await userOf(steal('/', both)), 'Ada');
  clock += 11 * MINUTE;
  assert.equal((await steal('/', both)).status, 401);
  assert.equal(await userOf(browser.request('/')), 'Ada');
  assert.deepEqual(browser.ended, []);
});

it('understands a browser that puts its proof and the id in quotation marks, as specified', async () => {
  const other = boundBrowser(() => app.origin, now, { mark: '"' });
  await bind(other);
  clock += 11 * MINUTE;
  assert.equal(await userOf(other.request('/')), 'Ada');
  assert.deepEqual(other.ended, []);
  assert.equal(events.filter(({ type }) => type === 'device-proved').length, 2);
});

it('for ten seconds, accepts requests that were under way when the key was first proved', async () => {
  await browser.request('/login', { method: 'POST' });
  await browser.registered();
  clock += 9 * MINUTE;
  const early = stolen('__Host-sid');
  await browser.request('/');
  clock += 9 * SECOND;
  assert.equal(await userOf(steal('/', early)), 'Ada');
  clock += 2 * SECOND;
  assert.equal((await steal('/', early)).status, 401);
});

it('refuses a stolen session cookie everywhere: pages, scripts, forms and sockets', async () => {
  await bind();
  const sessionCookie = stolen('__Host-sid');
  const page = await outcomeOf(
    steal('/cart?a=1', sessionCookie, { ...NAVIGATE, 'sec-fetch-site': 'none' }),
  );
  assert.deepEqual(page, { status: 303, location: '/login?next=%2Fcart%3Fa%3D1', refresh: null });
  const form = await outcomeOf(steal('/cart', sessionCookie, NAVIGATE, 'POST'));
  assert.deepEqual(form, { status: 303, location: '/login', refresh: null });
  assert.equal((await steal('/cart', sessionCookie, {}, 'POST')).status, 401);
  assert.equal(await userOf(steal('/stream', sessionCookie)), null);
  assert.equal(await userOf(steal('/login', sessionCookie)), null);
  for (const [path, method] of [
    ['//login', 'GET'],
    ['/login/', 'GET'],
    ['/login/../cart', 'POST'],
  ])
    assert.notEqual((await steal(path ?? '', sessionCookie, {}, method)).status, 200);
});

it('a request without proof neither changes nor prolongs the session', async () => {
  await bind();
  const sessionCookie = stolen('__Host-sid');
  for (let n = 0; n < 4; n++) {
    clock += 9 * MINUTE;
    for (const path of ['/', '/login', '/stream']) await steal(path, sessionCookie);
    for (const path of ['/dbsc/refresh', '/dbsc/registration'])
      for (const id of ['', 'x'])
        await steal(path, sessionCookie, { 'sec-secure-session-id': id }, 'POST');
  }
  assert.equal(await userOf(browser.request('/')), null); // idle for more than 30 minutes
});

it('refuses a second key, and a refresh by a thief, who cannot sign', async () => {
  await bind();
  const sessionCookie = stolen('__Host-sid');
  const asked = await steal('/dbsc/refresh', sessionCookie, {}, 'POST');
  assert.equal(asked.status, 403);
  const jti = /"([^"]+)"/.exec(asked.headers.get('secure-session-challenge') ?? '')?.[1] ?? '';
  const own = ecKeys();
  const jwk = own.publicKey.export({ format: 'jwk' });
  for (const proof of [proofOf(own, { jti }), proofOf(own, { jti, jwk })]) {
    const headers = { 'secure-session-response': proof };
    assert.equal((await steal('/dbsc/refresh', sessionCookie, headers, 'POST')).status, 403);
    assert.equal((await steal('/dbsc/registration', sessionCookie, headers, 'POST')).status, 400);
  }
  assert.equal((await steal('/', sessionCookie)).status, 401);
});

it('registers only one key, even if the same registration comes twice', async () => {
  const { headers } = await browser.send('/login', { method: 'POST' });
  const jti =
    /challenge="([^"]+)"/.exec(headers.get('secure-session-registration') ?? '')?.[1] ?? '';
  await browser.registered();
  const register = (keys: Keys) => {
    const jwk = keys.publicKey.export({ format: 'jwk' });
    const proof = proofOf(keys, { jwk, jti });
    return browser.send('/dbsc/registration', {
      method: 'POST',
      headers: { 'secure-session-response': proof },
    });
  };
  assert.equal((await register(ecKeys())).status, 400);
  const again = (await (await register(browser.keys)).json()) as { session_identifier: string };
  assert.equal(again.session_identifier, browser.device?.id);
});

const rsa = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength });
/** Proofs that an attacker could send in place of the browser's own. */
const malformed: Record<string, (jti: string, keys: Keys) => string> = {
  'without a signature': (jti, keys) => proofOf(keys, { jti }).replace(/[^.]+$/, ''),
  'with "alg":"none"': (jti, keys) => proofOf(keys, { alg: 'none', jti }),
  'with "alg":"HS256"': (jti, keys) => proofOf(keys, { alg: 'HS256', jti }),
  'with the algorithm of another kind of key': (jti, keys) => proofOf(keys, { alg: 'RS256', jti }),
  'by another key': (jti) => proofOf(ecKeys(), { jti }),
  'with a key of its own': (jti) => {
    const own = ecKeys();
    return proofOf(own, { jti, jwk: own.publicKey.export({ format: 'jwk' }) });
  },
  'of another challenge': (_jti, keys) => proofOf(keys, { jti: 'guess' }),
  'of a challenge with a changed date': (jti, keys) =>
    proofOf(keys, { jti: jti.replace(/^\d+/, String(clock + 1)) }),
  'of a bound cookie': (_jti, keys) =>
    proofOf(keys, { jti: browser.cookies.get(COOKIE)?.value ?? '' }),
  'with two signatures': (jti, keys) =>
    `${proofOf(keys, { jti })}.${proofOf(keys, { jti }).split('.')[2]}`,
  'sent twice in one header': (jti, keys) => `${proofOf(keys, { jti })}, ${proofOf(keys, { jti })}`,
  'as JSON': (jti, keys) => JSON.stringify({ payload: proofOf(keys, { jti }), signatures: [] }),
  'that is too large': (jti, keys) => proofOf(keys, { jti, authorization: 'x'.repeat(4000) }),
  'made of empty JSON objects': () => 'e30.e30.e30',
  'that is empty': () => ' ',
};

for (const [name, change] of Object.entries(malformed))
  it(`refuses a proof ${name}, and the browser may try again`, async () => {
    await bind();
    const { id = '', challenge = '' } = browser.device ?? {};
    const headers = {
      'secure-session-response': change(challenge, browser.keys),
      'sec-secure-session-id': id,
    };
    const response = await browser.send('/dbsc/refresh', { method: 'POST', headers });
    assert.equal(response.status, 403);
    assert.match(response.headers.get('secure-session-challenge') ?? '', /^"[^"]+";id="[^"]+"$/);
    assert.deepEqual(response.headers.getSetCookie(), []);
    assert.equal(events.at(-1)?.type, 'device-refused');
    clock += 11 * MINUTE;
    assert.equal(await userOf(browser.request('/')), 'Ada');
  });

it('accepts a proof twice, because the response to it may get lost, but not after 15 minutes', async () => {
  await bind();
  const { id = '', challenge = '' } = browser.device ?? {};
  const headers = {
    'secure-session-response': proofOf(browser.keys, { jti: challenge }),
    'sec-secure-session-id': id,
  };
  const replay = async () =>
    (await browser.send('/dbsc/refresh', { method: 'POST', headers })).status;
  assert.equal(await replay(), 200);
  assert.equal(await replay(), 200);
  clock += 16 * MINUTE;
  assert.equal(await replay(), 403);
});

it('refuses a registration after a minute', async () => {
  const { headers } = await browser.send('/login', { method: 'POST' });
  await browser.registered();
  const jti =
    /challenge="([^"]+)"/.exec(headers.get('secure-session-registration') ?? '')?.[1] ?? '';
  clock += 61 * SECOND;
  const jwk = browser.keys.publicKey.export({ format: 'jwk' });
  const proof = proofOf(browser.keys, { jwk, jti });
  const late = { method: 'POST', headers: { 'secure-session-response': proof } };
  assert.equal((await browser.send('/dbsc/registration', late)).status, 400);
});

it('accepts RSA keys only from 2,048 to 4,096 bits, and no curve but P-256', () => {
  const keys = rsa(2048);
  const read = (jwk: object) => readProof(proofOf(keys, { alg: 'RS256', jti: 'x', jwk })).key.kty;
  const ofBytes = (size: number) => ({
    ...keys.publicKey.export({ format: 'jwk' }),
    n: Buffer.alloc(size, 255).toString('base64url'),
  });
  assert.equal(read(keys.publicKey.export({ format: 'jwk' })), 'RSA');
  for (const size of [256, 512]) assert.throws(() => read(ofBytes(size)), /signature/);
  for (const size of [255, 513]) assert.throws(() => read(ofBytes(size)), /key/);
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const jwk = p384.publicKey.export({ format: 'jwk' });
  assert.throws(() => readProof(proofOf(p384, { jti: 'x', jwk })), /malformed/);
});

it('keeps the private half of a key out of the session, even if the browser sends it', () => {
  const keys = ecKeys();
  const jwk = keys.privateKey.export({ format: 'jwk' });
  assert.deepEqual(Object.keys(readProof(proofOf(keys, { jti: 'x', jwk })).key), [
    'kty',
    'crv',
    'x',
    'y',
  ]);
});

it('keeps the key through changes and a password change, and asks for a new one at log-in', async () => {
  await bind();
  const { id } = browser.device ?? {};
  await browser.request('/', { method: 'POST' });
  const changed = await browser.request('/password', { method: 'POST' });
  assert.equal(changed.headers.get('secure-session-registration'), null);
  assert.equal((await steal('/', stolen('__Host-sid'))).status, 401);
  clock += 11 * MINUTE;
  assert.equal(await userOf(browser.request('/')), 'Ada');
  assert.equal(browser.device?.id, id);
  await bind();
  assert.notEqual(browser.device?.id, id);
  assert.deepEqual(browser.ended, []);
});

it('responds with 503 to a refresh under the old id of a renewed session', async () => {
  await bind();
  const old = stolen('__Host-sid');
  await browser.request('/password', { method: 'POST' });
  const response = await steal('/dbsc/refresh', old, {}, 'POST');
  assert.equal(response.status, 503);
  assert.ok(response.headers.has('retry-after'));
});

it('keeps the device session when the session gets a new id during the first proof', async () => {
  await browser.request('/login', { method: 'POST' });
  await browser.registered();
  store.beforeWrite = () => browser.send('/password', { method: 'POST' });
  for (let n = 0; n < 2; n++) assert.equal(await userOf(browser.request('/')), 'Ada');
  assert.deepEqual(browser.ended, []);
});

it('ends the device session when the session has ended, or has another key', async () => {
  await bind();
  const [cookie, { id = '' } = {}] = [stolen('__Host-sid'), browser.device];
  const refresh = (sessionId: string) =>
    steal('/dbsc/refresh', cookie, { 'sec-secure-session-id': sessionId }, 'POST');
  assert.equal((await refresh('another')).status, 404);
  assert.equal((await refresh(id)).status, 403);
  await browser.request('/logout', { method: 'POST' });
  assert.equal(browser.cookies.get(COOKIE)?.endsAt, 0);
  assert.equal((await refresh(id)).status, 404);
});

it('lets a browser that lost its key log in again, which ends the old session, or log out', async () => {
  for (const way of ['/login', '/logout']) {
    browser = boundBrowser(() => app.origin, now);
    await bind();
    const sessionCookie = stolen('__Host-sid');
    const { value = '' } = browser.cookies.get(COOKIE) ?? {};
    browser.loseKey();
    clock += 11 * MINUTE;
    const { status, location } = await outcomeOf(
      browser.request('/', { headers: { ...NAVIGATE, 'sec-fetch-site': 'none' } }),
    );
    assert.deepEqual([status, location], [303, '/login?next=%2F']);
    await browser.request(way, { method: 'POST' });
    await browser.registered();
    clock += 11 * SECOND;
    assert.equal(await userOf(browser.request('/')), way === '/login' ? 'Ada' : null);
    // The old session is gone, so even its own proof brings nothing back.
    assert.equal(await userOf(steal('/', `${sessionCookie}; ${COOKIE}=${value}`)), null);
  }
});

it('after a browser has lost its key and logged in again, a late request under the old id does not replace its session', async () => {
  await bind();
  const sessionCookie = stolen('__Host-sid');
  browser.loseKey();
  browser.cookies.delete(COOKIE);
  await browser.request('/login', { method: 'POST' });
  // Its cookie would overwrite the one of the log-in.
  assert.deepEqual((await steal('/', sessionCookie, {}, 'POST')).headers.getSetCookie(), []);
});

it('leads to the log-in page that the app names', async (t) => {
  const own = await start({ deviceBound: { logIn: '/sign-in', logOut: '/sign-out' } });
  t.after(own.close);
  const visitor = boundBrowser(() => own.origin, now);
  await bind(visitor);
  visitor.loseKey();
  visitor.cookies.delete(COOKIE);
  const { location } = await outcomeOf(visitor.request('/', { headers: NAVIGATE }));
  assert.equal(location, '/sign-in?next=%2F');
  for (const [path, status] of [
    ['/sign-in', 200],
    ['/sign-out', 200],
    ['/login', 401],
  ] as const)
    assert.equal((await visitor.request(path)).status, status, path);
});

it('lets the log-in page store something in a new session for a browser that lost its key', async () => {
  await bind();
  const sessionCookie = stolen('__Host-sid');
  browser.loseKey();
  browser.cookies.delete(COOKIE);
  assert.equal(await userOf(browser.request('/login?begin')), null);
  assert.notEqual(stolen('__Host-sid'), sessionCookie);
  assert.deepEqual(await (await browser.request('/')).json(), { user: null, views: 1 });
  assert.equal((await steal('/', sessionCookie)).status, 401);
});

it('answers a link from another site with a page that reloads, so that the browser first refreshes its cookie', async () => {
  await bind();
  clock += 11 * MINUTE;
  const link = { headers: { ...NAVIGATE, 'sec-fetch-site': 'cross-site' } };
  const { status, refresh } = await outcomeOf(browser.request('/cart?a=1', link));
  assert.equal(status, 200);
  assert.match(refresh ?? '', /^0; url=https:\/\/127\.0\.0\.1:\d+\/cart\?a=1$/);
  assert.equal(await userOf(browser.request('/cart?a=1', { headers: NAVIGATE })), 'Ada');
  // Without this, a link to the log-in page would show somebody who is logged in as a guest.
  clock += 11 * MINUTE;
  assert.ok((await outcomeOf(browser.request('/login', link))).refresh);
  // An address that begins with two slashes must not lead to another site.
  clock += 11 * MINUTE;
  const evil = await outcomeOf(browser.request('//evil.test/', link));
  assert.match(evil.refresh ?? '', /^0; url=https:\/\/127\.0\.0\.1:\d+\/\/evil\.test\/$/);
});

it('forbids caching the response to a request without proof: other visitors would get it', async () => {
  await bind();
  const sessionCookie = stolen('__Host-sid');
  const cachingOf = async (path: string, headers: Record<string, string>) =>
    (await steal(path, sessionCookie, headers)).headers.get('cache-control');
  const foreign = { ...NAVIGATE, 'sec-fetch-site': 'cross-site' };
  assert.deepEqual(
    [await cachingOf('/', foreign), await cachingOf('/', NAVIGATE), await cachingOf('/login', {})],
    ['no-store', 'no-store', 'no-store'],
  );
});

it('asks to try again, and shows nothing of the account, whenever the store fails', async () => {
  await browser.request('/login', { method: 'POST' });
  await browser.registered();
  const failsAt = async (path: string, visit = {}) => {
    store.fails = true;
    const { status } = await browser.request(path, visit);
    store.fails = false;
    assert.equal(status, 503);
  };
  await failsAt('/'); // the first refresh
  assert.equal(await userOf(browser.request('/')), 'Ada');
  clock += 11 * MINUTE;
  await failsAt('/', { method: 'POST' });
  assert.equal(await userOf(browser.request('/')), 'Ada');
  await failsAt('/password', { method: 'POST' });
  await failsAt('/login');
  assert.deepEqual(browser.ended, []);
  assert.equal(await userOf(browser.request('/')), 'Ada');

  // Only the refresh fails: the request itself finds the session.
  clock += 11 * MINUTE;
  const skipped = { headers: { 'secure-session-skipped': 'unreachable' } };
  for (const path of ['/', '/login', '/stream']) {
    const response = await browser.send(path, skipped);
    assert.equal(response.status, 503);
    assert.ok(response.headers.has('retry-after'));
  }
  const form = { headers: { ...skipped.headers, ...NAVIGATE } };
  assert.equal((await browser.send('/login', form)).status, 200);
});

it('goes on unbound when the registration fails', async () => {
  const { status } = await browser.request('/login', { method: 'POST' });
  store.fails = true;
  await browser.registered();
  store.fails = false;
  assert.equal(status, 303);
  clock += 11 * MINUTE;
  assert.equal(await userOf(browser.request('/')), 'Ada');
});

it('works while a secret is rotated', async (t) => {
  const [old, next] = ['a secret of the tests', 'the next secret'];
  await bind();
  for (const secrets of [[old, next], [next, old], [next]]) {
    const rotated = await start({ secrets });
    t.after(rotated.close);
    const { origin } = app;
    app.origin = rotated.origin;
    assert.equal(await userOf(browser.request('/')), 'Ada', secrets.join());
    clock += 11 * MINUTE;
    assert.equal(await userOf(browser.request('/')), 'Ada', secrets.join());
    app.origin = origin;
  }
  assert.deepEqual(browser.ended, []);
});

it('signs no cookie again for a thief while a secret is rotated', async (t) => {
  await bind();
  const sessionCookie = stolen('__Host-sid');
  const rotated = await start({ secrets: ['the next secret', 'a secret of the tests'] });
  t.after(rotated.close);
  const signed = async (path: string, cookie: string) =>
    (await ask(rotated.origin + path, { headers: { cookie } })).headers.getSetCookie().length;
  const forThief = [await signed('/', sessionCookie), await signed('/login', sessionCookie)];
  const forOwner = await signed('/', stolen('__Host-sid', COOKIE));
  assert.deepEqual([...forThief, forOwner], [0, 0, 1]);
});

it('does not depend on the clock of the browser', async () => {
  for (const hours of [-1, 1]) {
    const ahead = boundBrowser(
      () => app.origin,
      () => clock + hours * 60 * MINUTE,
    );
    await bind(ahead);
    for (let n = 0; n < 3; n++) {
      clock += 9 * MINUTE;
      assert.equal(await userOf(ahead.request('/')), 'Ada');
    }
  }
  const { headers } = await browser.send('/dbsc/refresh', { method: 'POST' });
  assert.equal(headers.get('expires'), null);
});

it('refuses a stolen session cookie although the server’s clock is set back', async () => {
  await bind();
  clock -= 20 * MINUTE;
  assert.equal((await steal('/', stolen('__Host-sid'))).status, 401);
  assert.equal((await browser.request('/')).status, 200);
  clock += 20 * MINUTE;
});

it('recovers when the server’s clock is set forward by half an hour', async () => {
  await bind();
  // The browser's own clock stands still, so its cookie looks fresh to it.
  const frozen = clock;
  const cookie = stolen('__Host-sid', COOKIE);
  clock += 29 * MINUTE;
  const { status, location } = await outcomeOf(
    steal('/cart', cookie, { 'sec-fetch-site': 'same-origin' }, 'POST'),
  );
  assert.deepEqual([status, new URL(location ?? '').pathname], [307, '/cart']);
  clock = frozen;
});

it('reports each registration, proof and refusal', async () => {
  await bind();
  await steal('/', stolen('__Host-sid'));
  const ofDevices = events.filter(({ type }) => type.startsWith('device-'));
  assert.deepEqual(ofDevices, [
    { type: 'device-registered' },
    { type: 'device-proved' },
    { type: 'device-refused', reason: 'unproved' },
  ]);
});
