// Log-in through passport and through OpenID Connect, with the drop-in store and with the module's own
// sessions. The code for those is taken from docs/log-in.md.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { after, before, it, mock } from 'node:test';
import express, { type Express } from 'express';
import session, { MemoryStore, type Store } from 'express-session';
import { dropInStore, memoryBackend } from '../app/session/index.ts';
import { beforeTheEnd, Gate } from '../test-support/gate.ts';
import { httpClient } from '../test-support/http-client.ts';
import { listen } from '../test-support/listen.ts';

// Required, not imported: the types of passport would add `req.user` to the shop's own requests.
const require = createRequire(import.meta.url);
const oidc = require('openid-client');
const { Strategy: OpenIdStrategy } = require('openid-client/passport');
const passport = require('passport');
const { Strategy: LocalStrategy } = require('passport-local');

// biome-ignore lint/suspicious/noExplicitAny: the apps are untyped, as in JavaScript.
type Loose = any;

const root = resolve(import.meta.dirname, '..');
const cleanup = new AsyncDisposableStack();
after(() => cleanup.disposeAsync());
const gate = new Gate();
/** The session module, copied as a reader of the docs would, and what the page's examples export. */
let lifted: Loose;
let provider: Loose;
const origins = { strategy: '', memoryStore: '', own: '' };

before(async () => {
  const folder = mkdtempSync(join(root, 'e2e', 'lifted-'));
  cleanup.defer(() => rmSync(folder, { recursive: true }));
  cpSync(join(root, 'app/session'), join(folder, 'session'), { recursive: true });
  const page = readFileSync(join(root, 'docs/log-in.md'), 'utf8');
  const examples = [...page.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code = '']) => code);
  for (const name of ['passport', 'openid-client'])
    writeFileSync(
      join(folder, `${name}.ts`),
      examples.find((code) => code.includes(`from '${name}'`)) ?? '',
    );
  lifted = {
    ...(await import(join(folder, 'session/index.ts'))),
    ...(await import(join(folder, 'passport.ts'))),
    ...(await import(join(folder, 'openid-client.ts'))),
  };

  // The addresses come first, because the provider and the apps need each other's.
  const serve = async () => {
    const site = { app: (() => {}) as RequestListener, origin: '' };
    const { origin, close } = await listen((req, res) => site.app(req, res));
    cleanup.defer(close);
    return Object.assign(site, { origin });
  };
  const [issuer, strategy, memoryStore, own] = await Promise.all([
    serve(),
    serve(),
    serve(),
    serve(),
  ]);
  issuer.app = providerFor(issuer.origin, [strategy.origin, memoryStore.origin, own.origin]);
  const insecure = { execute: [oidc.allowInsecureRequests] };
  provider = await oidc.discovery(new URL(issuer.origin), 'shop', 'secret', undefined, insecure);
  strategy.app = strategyApp(strategy.origin, dropInStore(memoryBackend()));
  memoryStore.app = strategyApp(memoryStore.origin, new MemoryStore());
  own.app = ownApp(own.origin);
  for (const [name, { origin }] of Object.entries({ strategy, memoryStore, own }))
    origins[name as keyof typeof origins] = origin;
});

/** An OpenID provider with pages on which anyone logs in under any name. */
function providerFor(issuer: string, clients: string[]): RequestListener {
  // It warns on the console that it is not set up for production.
  for (const level of ['info', 'warn'] as const) mock.method(console, level, () => {});
  const { Provider } = require('oidc-provider');
  const server = new Provider(issuer, {
    clients: [
      {
        client_id: 'shop',
        client_secret: 'secret',
        redirect_uris: clients.map((origin) => `${origin}/callback`),
      },
    ],
    claims: { email: ['email'], profile: ['name'] },
    conformIdTokenClaims: false,
    findAccount: (_context: unknown, id: string) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.test`, name: 'Ada' }),
    }),
  });
  return server.callback();
}

/** An app as people write it, with the strategy of openid-client. */
function strategyApp(origin: string, store: Store): Express {
  const authenticator = new passport.Passport();
  const options = { config: provider, scope: 'openid email', callbackURL: `${origin}/callback` };
  const verify = (tokens: Loose, done: Loose) => done(null, tokens.claims().email);
  authenticator.use('openid', new OpenIdStrategy(options, verify));
  authenticator.serializeUser((user: string, done: Loose) => done(null, user));
  authenticator.deserializeUser((user: string, done: Loose) => done(null, user));
  const app = express();
  app.set('env', 'test'); // so that Express prints no errors
  app.use(session({ store, secret: 'keyboard cat', resave: false, saveUninitialized: false }));
  app.use(authenticator.session());
  app.get('/login', authenticator.authenticate('openid'));
  const redirects = { successRedirect: '/', failureRedirect: '/' };
  app.get('/callback', authenticator.authenticate('openid', redirects));
  app.get('/', (req: Loose, res) => res.json({ user: req.user }));
  app.post('/view', async (req: Loose, res) => {
    if ('wait' in req.query) await gate.pass();
    req.session.views = (req.session.views ?? 0) + 1;
    res.json({});
  });
  return app;
}

/** An app on the module's own sessions, with the examples of the docs. */
function ownApp(origin: string): Express {
  const { sessionMiddleware, updateSession, openIdRoutes, openIdFields } = lifted;
  const { identify, logIn, logOut, takeFlash } = lifted;
  const app = express();
  app.use(
    sessionMiddleware({
      backend: lifted.memoryBackend(),
      fields: openIdFields,
      secrets: ['a long random secret'],
      cookie: {
        name: 'sid',
        attributes: { path: '/', httpOnly: true, secure: false, sameSite: 'lax' },
      },
      idleMs: 60_000,
      absoluteMs: 60_000,
    }),
  );
  openIdRoutes(app, provider, `${origin}/callback`);
  app.use(identify);
  app.post('/login', logIn);
  app.post('/logout', logOut);
  app.get('/flash', async (req, res) => res.json({ flash: await takeFlash(req) }));
  app.get('/', ({ user, session: { views, pending } }: Loose, res) =>
    res.json({ user: user?.email, views, isPending: pending !== undefined }),
  );
  app.post('/view', async (req: Loose, res) => {
    if ('wait' in req.query) await gate.pass();
    await updateSession(req, (draft: Loose) => {
      draft.views += 1;
    });
    res.json({});
  });
  return app;
}

type Page = { url: string; status: number; text: string };

/** Keeps the cookies of each site, and follows redirects to anything but `stopAt`. */
function openBrowser() {
  const jars = new Map<string, Map<string, string>>();
  return async function visit(url: string, form?: object, stopAt = 'nowhere'): Promise<Page> {
    const { origin, pathname } = new URL(url);
    const jar = jars.get(origin) ?? new Map<string, string>();
    jars.set(origin, jar);
    if (pathname === stopAt) return { url, status: 0, text: '' };
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: [...jar].map((pair) => pair.join('=')).join('; ') },
      ...(form && { method: 'POST', body: new URLSearchParams(form as Record<string, string>) }),
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      jar.set(name, value);
    }
    const location = response.headers.get('location');
    const text = await response.text();
    if (location) return visit(new URL(location, url).href, undefined, stopAt);
    return { url, status: response.status, text };
  };
}
type Visit = ReturnType<typeof openBrowser>;

/** Fills in the provider's pages, the log-in and the consent, until the browser is back at the app. */
async function finish(visit: Visit, page: Page, stopAt?: string): Promise<Page> {
  const [, prompt] = /name="prompt" value="(\w+)"/.exec(page.text) ?? [];
  if (!prompt) return page;
  const form = { prompt, login: 'ada', password: 'sesame' };
  return finish(visit, await visit(page.url, form, stopAt), stopAt);
}

/** Logs in while a slow request, which loaded the session before the log-in, changes it. */
async function logInBesideSlowRequest(origin: string): Promise<Loose> {
  const visit = openBrowser();
  await visit(`${origin}/view`, {});
  const arrived = gate.expect();
  const slow = visit(`${origin}/view?wait`, {});
  await beforeTheEnd(arrived, slow);
  const page = await visit(`${origin}/login`);
  assert.equal(page.status, 200);
  gate.open();
  await slow;
  const { text } = await finish(visit, page);
  return JSON.parse(text);
}

/**
 * Logs in with one browser, but opens the provider's response in another.
 * @returns the status there, and who is logged in
 */
async function openedElsewhere(origin: string): Promise<[number, unknown]> {
  const visit = openBrowser();
  const { url } = await finish(visit, await visit(`${origin}/login`), '/callback');
  const other = openBrowser();
  await other(`${origin}/login`);
  const { status } = await other(url);
  return [status, JSON.parse((await other(origin)).text).user];
}

it('an OpenID log-in survives a slow request at the same time with the drop-in store, and not with MemoryStore', async () => {
  const { user } = await logInBesideSlowRequest(origins.strategy);
  assert.equal(user, 'ada@example.test');
  assert.equal((await logInBesideSlowRequest(origins.memoryStore)).user, undefined);
});

it('an OpenID log-in survives a slow request at the same time with the docs’ example, and drops its secrets', async () => {
  const page = await logInBesideSlowRequest(origins.own);
  assert.deepEqual(page, { user: 'ada@example.test', views: 0, isPending: false });
});

it('the OpenID provider’s response to one browser does not log in another one', async () => {
  assert.deepEqual(await openedElsewhere(origins.strategy), [400, undefined]);
  assert.deepEqual(await openedElsewhere(origins.own), [403, undefined]);
});

it('passport finds the user and renewSession logs in, with the docs’ example', async () => {
  const found = { id: '1', email: 'ada@example.test', name: 'Ada', passwordHash: 'x' };
  passport.use(
    new LocalStrategy((_name: string, password: string, done: Loose) =>
      done(null, password === 'sesame' && found),
    ),
  );
  const visitor = httpClient(origins.own);
  await visitor.post('/view');
  const guest = visitor.cookie;
  const refused = await visitor.post('/login', { form: { username: 'ada', password: 'wrong' } });
  assert.deepEqual([refused.status, refused.headers.get('location')], [302, '/login']);
  assert.equal(visitor.cookie, guest);
  const ok = await visitor.post('/login', { form: { username: 'ada', password: 'sesame' } });
  assert.deepEqual([ok.status, ok.headers.get('location')], [303, '/']);
  assert.notEqual(visitor.cookie, guest);
  const { user, views } = (await visitor.get('/')).json;
  assert.deepEqual([user, views], ['ada@example.test', 1]);
  assert.equal((await httpClient(origins.own, guest).get('/')).json.user, undefined);
  assert.equal((await visitor.get('/flash')).json.flash, 'Welcome, Ada!');
  assert.equal((await visitor.get('/flash')).json.flash, undefined);
  const { cookie } = visitor;
  assert.equal((await visitor.post('/logout')).status, 303);
  assert.equal((await httpClient(origins.own, cookie).get('/')).json.user, undefined);
});
