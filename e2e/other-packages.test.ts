// Apps as people write them, with passport, connect-flash, csrf-sync and multer, on Express 4 and 5.
// They use nothing of this project except the store.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, describe, it } from 'node:test';
import express5 from 'express';
import session, { MemoryStore, type Store } from 'express-session';
import { dropInStore } from '../app/session/index.ts';
import { beforeTheEnd, Gate } from '../test-support/gate.ts';
import { type HttpClient, httpClient } from '../test-support/http-client.ts';
import { type Listening, listen } from '../test-support/listen.ts';
import { onEachStore } from '../test-support/stores.ts';

// Required, not imported: the types of these packages would add `req.user` and `req.flash` to the
// shop's own requests.
const require = createRequire(import.meta.url);
const flash = require('connect-flash');
const { csrfSync } = require('csrf-sync');
const multer = require('multer');
const { Passport } = require('passport');
const { Strategy } = require('passport-local');
const express4: typeof express5 = require('express4');

// biome-ignore lint/suspicious/noExplicitAny: the apps are untyped, as in JavaScript.
type Loose = any;

function createApp(express: typeof express5, store: Store, gate: Gate) {
  const passport = new Passport();
  passport.use(
    new Strategy((name: string, password: string, done: Loose) =>
      password === 'sesame' ? done(null, { name }) : done(null, false, 'Wrong password'),
    ),
  );
  passport.serializeUser(({ name }: Loose, done: Loose) => done(null, name));
  passport.deserializeUser((name: string, done: Loose) => done(null, { name }));
  const { csrfSynchronisedProtection } = csrfSync();

  const app = express();
  app.set('env', 'test'); // so that Express prints no errors
  app.use(
    session({ store, secret: 'keyboard cat', resave: false, saveUninitialized: false }),
    flash(),
    passport.session(),
    csrfSynchronisedProtection,
  );
  app.get('/', (req: Loose, res) => {
    const { cart, photos } = req.session;
    res.json({ user: req.user?.name, cart, photos, token: req.csrfToken(), flash: req.flash() });
  });
  const form = express.urlencoded({ extended: false });
  app.post('/log-in', form, (req, res, next) => {
    passport.authenticate('local', {
      successRedirect: '/',
      failureRedirect: '/',
      successFlash: 'Welcome',
      failureFlash: true,
      keepSessionInfo: 'keep' in req.query,
    })(req, res, next);
  });
  app.post('/log-out', (req: Loose, res, next) => {
    const options = { keepSessionInfo: 'keep' in req.query };
    req.logout(options, (error: unknown) => (error ? next(error) : res.redirect('/')));
  });
  app.post('/add/:item', async (req: Loose, res) => {
    if ('wait' in req.query) await gate.pass();
    req.session.cart = { ...req.session.cart, [req.params.item]: 1 };
    req.flash('added', req.params.item);
    res.json({});
  });
  app.post('/photos', multer().single('photo'), async (req: Loose, res) => {
    if ('wait' in req.query) await gate.pass();
    req.session.photos = { ...req.session.photos, [req.file.originalname]: req.file.size };
    res.json({});
  });
  return app;
}

/** A browser that has the page open: it knows the page's token. */
async function openPage(origin: string): Promise<Visitor> {
  const client = httpClient(origin);
  return { client, token: (await client.get('/')).json.token };
}
type Visitor = { client: HttpClient; token: string };

const post = ({ client, token }: Visitor, path: string, form?: object) =>
  client.post(path, { headers: { 'x-csrf-token': token }, ...(form && { form }) });
const sameBrowser = ({ client, token }: Visitor): Visitor => ({
  client: httpClient(client.origin, client.cookie),
  token,
});
const see = async ({ client }: Visitor) => (await client.get('/')).json;
const ada = { username: 'Ada', password: 'sesame' };

/** A failed log-in leaves a message. The next page shows it while a slow request is running. */
async function timesShown(origin: string, gate: Gate): Promise<number> {
  const visitor = await openPage(origin);
  await post(visitor, '/log-in', { ...ada, password: 'wrong' });
  const arrived = gate.expect();
  const slow = post(sameBrowser(visitor), '/add/hat?wait');
  await beforeTheEnd(arrived, slow);
  const first = await see(visitor);
  gate.open();
  await slow;
  const pages = [first, await see(visitor), await see(visitor)];
  return pages.filter((page) => page.flash.error?.[0] === 'Wrong password').length;
}

async function isLoggedInAfterLogOut(origin: string, gate: Gate): Promise<boolean> {
  const visitor = await openPage(origin);
  await post(visitor, '/log-in?keep', ada);
  const arrived = gate.expect();
  const old = sameBrowser(visitor);
  const slow = post(sameBrowser(visitor), '/add/hat?wait');
  await beforeTheEnd(arrived, slow);
  await post(visitor, '/log-out');
  gate.open();
  await slow;
  return (await see(old)).user === 'Ada';
}

for (const [version, express] of Object.entries({ 'Express 5': express5, 'Express 4': express4 })) {
  onEachStore(
    `passport, connect-flash, csrf-sync and multer with the drop-in store, ${version}`,
    (store) => {
      let site: Listening;
      const gate = new Gate();
      before(async () => {
        site = await listen(createApp(express, dropInStore(store.backend), gate));
      });
      after(() => site.close());

      it('passport logs in under a new session id, and keeps what the session held if asked', async () => {
        for (const query of ['', '?keep']) {
          const visitor = await openPage(site.origin);
          await post(visitor, '/add/hat');
          const guest = sameBrowser(visitor);
          assert.equal((await post(visitor, `/log-in${query}`, ada)).status, 302);
          assert.notEqual(visitor.client.cookie, guest.client.cookie);
          const { user, cart, token, flash: shown } = await see(visitor);
          assert.equal(user, 'Ada');
          assert.deepEqual(cart, query ? { hat: 1 } : undefined);
          assert.equal(token === visitor.token, query === '?keep');
          assert.deepEqual(shown, query ? { added: ['hat'], success: ['Welcome'] } : {});
          assert.equal((await see(guest)).user, undefined, 'the old id no longer works');
        }
      });

      it('passport logs out under a new session id, and keeps what the session held if asked', async () => {
        for (const query of ['', '?keep']) {
          const visitor = await openPage(site.origin);
          await post(visitor, '/add/hat');
          await post(visitor, '/log-in?keep', ada);
          const old = sameBrowser(visitor);
          await post(visitor, `/log-out${query}`);
          const { user, cart } = await see(visitor);
          assert.deepEqual([user, cart], [undefined, query ? { hat: 1 } : undefined]);
          assert.equal((await see(old)).user, undefined);
        }
      });

      it('a slow request does not undo the log-out of passport', async () => {
        assert.equal(await isLoggedInAfterLogOut(site.origin, gate), false);
      });

      it('a flash message is shown once, even while a slow request is running', async () => {
        assert.equal(await timesShown(site.origin, gate), 1);
      });

      it('the CSRF token and every change survive 50 requests at once', async () => {
        const visitor = await openPage(site.origin);
        const arrived = gate.expect(50);
        const adds = Array.from({ length: 50 }, (_, n) =>
          post(sameBrowser(visitor), `/add/hat${n}?wait`),
        );
        await beforeTheEnd(arrived, ...adds);
        gate.open();
        for (const { status } of await Promise.all(adds)) assert.equal(status, 200);
        const { cart, token } = await see(visitor);
        assert.equal(Object.keys(cart).length, 50);
        assert.equal(token, visitor.token);
        assert.equal((await post({ ...visitor, token: 'wrong' }, '/add/coat')).status, 403);
        assert.equal((await post(visitor, '/add/coat')).status, 200);
      });

      it('an upload through multer keeps its change of the session, and so do simultaneous requests', async () => {
        const visitor = await openPage(site.origin);
        const body = new FormData();
        body.set('photo', new Blob(['a'.repeat(100_000)]), 'coat.png');
        const arrived = gate.expect();
        const { cookie = '' } = visitor.client;
        const upload = fetch(`${site.origin}/photos?wait`, {
          method: 'POST',
          headers: { cookie, 'x-csrf-token': visitor.token },
          body,
        });
        await beforeTheEnd(arrived, upload);
        await post(sameBrowser(visitor), '/add/hat');
        gate.open();
        // The whole response: its last byte waits until the session is stored.
        assert.deepEqual(await (await upload).json(), {});
        const { cart, photos } = await see(visitor);
        assert.deepEqual([cart, photos], [{ hat: 1 }, { 'coat.png': 100_000 }]);
      });
    },
  );
}

describe('the same app with MemoryStore, for comparison,', () => {
  it('shows a flash message again and undoes a log-out', async (t) => {
    const gate = new Gate();
    const site = await listen(createApp(express5, new MemoryStore(), gate));
    t.after(site.close);
    assert.ok((await timesShown(site.origin, gate)) > 1);
    assert.equal(await isLoggedInAfterLogOut(site.origin, gate), true);
  });
});
