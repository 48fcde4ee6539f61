import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import express from 'express';
import { httpClient } from '../../test-support/http-client.ts';
import { listen } from '../../test-support/listen.ts';
import {
  endSession,
  memoryBackend,
  type SessionCookie,
  sessionMiddleware,
  updateSession,
} from '../session/index.ts';

const options = {
  backend: memoryBackend(),
  secrets: ['a secret'],
  idleMs: 60_000,
  absoluteMs: 60_000,
};
const usual = { path: '/', httpOnly: true, secure: true, sameSite: 'lax' } as const;
const domain = 'example.com';
const production: boolean = process.env.NODE_ENV === 'production';

/** Does not compile if TypeScript knows that browsers refuse the cookie. */
const typed = <Name extends string>(cookie: SessionCookie<Name>): SessionCookie => cookie;

it('a cookie that browsers accept compiles, and is accepted when the app starts', () => {
  for (const cookie of [
    typed({ name: 'sid', attributes: { ...usual, secure: production } }),
    typed({ name: production ? '__Host-sid' : 'sid', attributes: usual }),
    typed(
      production
        ? { name: '__Host-sid', attributes: usual }
        : { name: 'sid', attributes: { ...usual, secure: false } },
    ),
    typed({ name: '__Host-sid', attributes: { ...usual, sameSite: 'none', partitioned: true } }),
    typed({ name: '__Secure-sid', attributes: { ...usual, path: '/app', domain } }),
    typed({ name: 'sid', attributes: { ...usual, secure: false, path: '/app', domain } }),
  ])
    sessionMiddleware({ ...options, cookie });
});

it('a cookie that browsers refuse does not compile, and is refused with the reason when the app starts', () => {
  const open = { ...usual, secure: false } as const;
  const cookies = [
    // @ts-expect-error
    typed({ name: 'sid', attributes: { ...open, sameSite: 'none' } }),
    // @ts-expect-error
    typed({ name: 'sid', attributes: { ...open, partitioned: true } }),
    // @ts-expect-error
    typed({ name: '__Secure-sid', attributes: open }),
    // @ts-expect-error
    typed({ name: '__Http-sid', attributes: open }),
    // @ts-expect-error
    typed({ name: '__Host-sid', attributes: open }),
    // @ts-expect-error
    typed({ name: '__Host-sid', attributes: { ...usual, domain } }),
    // @ts-expect-error: browsers ignore the case of a prefix
    typed({ name: '__host-sid', attributes: { ...usual, domain } }),
    // @ts-expect-error
    typed({ name: '__Host-sid', attributes: { ...usual, path: '/app' } }),
    // @ts-expect-error: neither is known, so `__Host-sid` could go without Secure
    typed({
      name: production ? 'sid' : '__Host-sid',
      attributes: { ...usual, secure: production },
    }),
    // @ts-expect-error
    typed({ name: 'sid', attributes: { ...usual, httpOnly: false } }),
    // @ts-expect-error: as plain JavaScript could pass it
    typed({ name: 'sid', attributes: { ...usual, sameSite: 'None' } }),
    typed({ name: 'sid', attributes: { ...usual, path: 'app' } }),
    // @ts-expect-error
    typed({ name: 'sid', attributes: { ...usual, path: undefined } }),
    typed({ name: 'sid', attributes: { ...usual, domain: 'https://example.com' } }),
    typed({ name: 'the sid', attributes: usual }),
  ];
  const reason = (cookie: SessionCookie) => {
    try {
      sessionMiddleware({ ...options, cookie });
      return 'taken';
    } catch (error) {
      return error instanceof TypeError ? error.message : error;
    }
  };
  assert.deepEqual(cookies.map(reason), [
    "Browsers refuse sameSite: 'none' without secure: true",
    'Browsers refuse partitioned: true without secure: true',
    'Browsers refuse a cookie whose name begins with __Secure- without secure: true',
    'Browsers refuse a cookie whose name begins with __Http- without secure: true',
    'Browsers refuse a cookie whose name begins with __Host- without secure: true',
    'Browsers refuse a cookie whose name begins with __Host- with a domain',
    'Browsers refuse a cookie whose name begins with __host- with a domain',
    "Browsers refuse a cookie whose name begins with __Host- with a path other than '/'",
    'Browsers refuse a cookie whose name begins with __Host- without secure: true',
    'The session cookie must have httpOnly: true',
    "sameSite of the session cookie must be 'lax', 'strict' or 'none'",
    "The path of the session cookie must begin with '/'",
    "The path of the session cookie must begin with '/'",
    'option domain is invalid',
    'argument name is invalid',
  ]);
});

/** An app behind a proxy that terminates TLS. A POST to any path counts, or logs out. */
async function startApp(t: TestContext, cookie: SessionCookie, secrets = options.secrets) {
  const app = express();
  app.set('env', 'test'); // Express then prints no errors
  app.set('trust proxy', true);
  app.use(sessionMiddleware({ ...options, secrets, cookie }));
  app.post('/{*path}', async (req, res) => {
    if (req.path.endsWith('/log-out')) await endSession(req, res);
    else
      await updateSession(req, (draft) => {
        draft.views += 1;
      });
    res.json({});
  });
  app.get('/{*path}', (req, res) => res.json({ views: req.session?.views ?? 'no session' }));
  app.use(((error: Error, _req, res, _next) => {
    res.status(500).json({ error: error.message });
  }) satisfies express.ErrorRequestHandler);
  const site = await listen(app);
  t.after(site.close);
  return site.origin;
}

const https = { headers: { 'x-forwarded-proto': 'https' } };

it('the cookie has the same attributes when it is set, signed again and cleared', async (t) => {
  const cookie = typed({
    name: '__Secure-sid',
    attributes: { ...usual, path: '/app', domain, sameSite: 'none', partitioned: true },
  });
  const visitor = httpClient(await startApp(t, cookie, ['old']));
  const set = await visitor.post('/app', https);
  const rotating = httpClient(await startApp(t, cookie, ['new', 'old']), visitor.cookie);
  const signedAgain = await rotating.get('/app', https);
  assert.equal(signedAgain.json.views, 1);
  const cleared = await rotating.post('/app/log-out', https);
  for (const { headers } of [set, signedAgain, cleared]) {
    const [line = '', ...more] = headers.getSetCookie();
    assert.deepEqual(more, []);
    assert.deepEqual(
      line
        .replace(/ Expires=[^;]+;/, '')
        .split('; ')
        .slice(1),
      ['Domain=example.com', 'Path=/app', 'HttpOnly', 'Secure', 'Partitioned', 'SameSite=None'],
      line,
    );
  }
});

it('a request outside the cookie’s path has no session, and an attempt to change it fails with the reason', async (t) => {
  for (const path of ['/app', '/app/']) {
    const attributes = { ...usual, secure: false, path };
    const visitor = httpClient(await startApp(t, { name: 'sid', attributes }));
    await visitor.post('/app/');
    for (const inside of ['/app/', '/app/cart?size=M', ...(path === '/app' ? ['/app?a'] : [])])
      assert.equal((await visitor.get(inside)).json.views, 1, inside);
    // express-session itself treats /apple as inside /app, but browsers send no cookie there.
    for (const outside of ['/', '/apple', '/apple/app/', '/App/', '/x?/app/']) {
      assert.equal((await visitor.get(outside)).json.views, 'no session', outside);
      const response = await visitor.post(outside);
      assert.equal(response.headers.get('set-cookie'), null);
      assert.equal(
        response.json.error,
        `No session for ${outside.split('?')[0]}: sessionMiddleware must come before this route, and the path of its cookie must cover it`,
      );
    }
  }
});

it('a part of an app can have its own session, even while the secret is rotated', async (t) => {
  const app = express();
  for (const path of ['/admin', '/'])
    app.use(
      sessionMiddleware({
        ...options,
        secrets: ['new', 'old'],
        cookie: { name: `sid${path.length}`, attributes: { ...usual, secure: false, path } },
      }),
    );
  app.post('/{*path}', async (req, res) => {
    await updateSession(req, (draft) => {
      draft.views += 1;
    });
    res.json(req.session);
  });
  const site = await listen(app);
  t.after(site.close);
  const [admin, visitor] = [httpClient(site.origin), httpClient(site.origin)];
  await admin.post('/admin');
  await visitor.post('/');
  const both = httpClient(site.origin, `${admin.cookie}; ${visitor.cookie}`);
  assert.equal((await both.post('/')).json.views, 2);
  const response = await both.post('/admin');
  assert.equal(response.json.views, 2);
  assert.deepEqual(response.headers.getSetCookie(), []);
  const only = httpClient(site.origin, admin.cookie);
  assert.deepEqual((await only.post('/admin')).headers.getSetCookie(), []);
});
