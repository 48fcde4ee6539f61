// Two requests of one account, in two processes. The second runs while the first is paused, at every
// possible moment. The result must be the same as if they had run one after the other, or one of
// them must be refused and change nothing.

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomInt } from 'node:crypto';
import { after, before, it } from 'node:test';
import bcrypt from 'bcrypt';
import express from 'express';
import { checkedIdentity, createAccounts, newAccount } from '../app/accounts/accounts.ts';
import { hashPassword, verifyPassword } from '../app/accounts/passwords.ts';
import { createCarts } from '../app/cart/account-carts.ts';
import { createOrders } from '../app/orders/orders.ts';
import { sessionHandle } from '../app/session/index.ts';
import { createDocuments } from '../app/storage/documents.ts';
import { type HttpClient, httpClient } from '../test-support/http-client.ts';
import { type Listening, listen } from '../test-support/listen.ts';
import { createShop, HASH_COST, PAGE, PATIENCE_MS } from '../test-support/start-shop.ts';
import { onEachStore } from '../test-support/stores.ts';

const OLD = 'a coat, a hat, an umbrella';
const NEW = ['an umbrella, a hat, a coat', 'a hat, a coat, an umbrella'];

// The same log-in happens thousands of times.
const oldHash = await hashPassword(OLD, HASH_COST);
const { compare } = bcrypt;
Object.assign(bcrypt, {
  compare: async (password: string, hash: string) =>
    (password === OLD && hash === oldHash) || compare(password, hash),
});

/** A client whose calls to the store are counted. It waits before one of them. */
type Actor = { calls: number; waitsBefore: number; arrived: () => void; goOn: Promise<void> };
const actor = new AsyncLocalStorage<Actor>();

async function atTheGate(): Promise<void> {
  const who = actor.getStore();
  if (!who) return;
  who.calls += 1;
  if (who.calls !== who.waitsBefore) return;
  who.arrived();
  await who.goOn;
}

type Ask = (...args: never[]) => Promise<unknown>;
const gated = <B extends Record<string, Ask>>(backend: B): B =>
  Object.fromEntries(
    Object.entries(backend).map(([name, ask]) => [
      name,
      async (...args: never[]) => {
        await atTheGate();
        return ask(...args);
      },
    ]),
  ) as B;

/** An account with two browsers that are logged in, two that are about to log in, and a cart. */
type World = {
  id: string;
  email: string;
  ada: HttpClient[];
  guests: HttpClient[];
  /** What the form of the cart page sends. */
  order: string;
};
type Operation = (world: World, side: number) => Promise<{ status: number }>;

const known = new Map<string, Promise<string>>();

onEachStore(
  'two operations at once',
  (store) => {
    let processes: Listening[];
    before(async () => {
      processes = await Promise.all([0, 1].map(() => listen(oneProcess())));
    });
    after(() => Promise.all(processes.map(({ close }) => close())));

    /** The shop. Its calls to the store go through the gate of the actor that the request names. */
    function oneProcess() {
      const options = { documents: gated(store.documents) };
      const { app } = createShop(gated(store.backend), options, { TRUST_PROXY: 'loopback' });
      const outer = express();
      outer.use((req, _res, next) => {
        // Each request has its own address, so that no rate limit applies.
        req.headers['x-forwarded-for'] = [10, 0, 0, 0].map((n) => n || randomInt(256)).join('.');
        const who = actors.get(req.get('X-Actor') ?? '');
        if (who) actor.run(who, next);
        else next();
      });
      return outer.use(app);
    }
    const actors = new Map<string, Actor>();

    const documents = () =>
      createDocuments(gated(store.documents), { answerWithinMs: PATIENCE_MS });
    const accounts = () => createAccounts(documents());
    const on = (client: HttpClient, process: number) =>
      httpClient(processes[process]?.origin ?? '', client.cookie);
    const post = async (client: HttpClient, side: number, path: string, json = {}, more = {}) => {
      const there = on(client, side);
      const headers = { ...more, 'x-actor': String(side) };
      const response = await there.post(path, { json, headers });
      if (response.headers.has('set-cookie')) client.cookie = there.cookie;
      return response;
    };
    const handleOf = ({ cookie = '' }: HttpClient) =>
      sessionHandle(/s:(.+)\./.exec(decodeURIComponent(cookie))?.[1] ?? '');

    const operations: Record<string, Operation> = {
      'log in': async ({ guests, email }, side) => {
        const guest = guests[side] as HttpClient;
        await guest.post('/cart/lines', { json: { sku: 'wool-beret' } });
        return post(guest, side, '/login', { email, password: OLD });
      },
      'log out': ({ ada: [first] }, side) => post(first as HttpClient, side, '/logout'),
      'log out elsewhere': ({ ada: [, second] }, side) =>
        post(second as HttpClient, side, '/logout'),
      'end others': ({ ada: [first] }, side) =>
        post(first as HttpClient, side, '/account/sessions/end-others'),
      'change password': ({ ada: [, second] }, side) =>
        post(second as HttpClient, side, '/account/password', {
          currentPassword: OLD,
          newPassword: NEW[side],
        }),
      'end session': ({ ada: [first, second] }, side) =>
        post(second as HttpClient, side, `/account/sessions/${handleOf(first as HttpClient)}/end`),
      disable: async ({ email }, side) => {
        const account = await accounts().find(email);
        await actor.run(actors.get(String(side)) as Actor, () =>
          accounts().change(account ?? assert.fail(), (now) => ({
            ...now,
            disabled: true,
            sessions: {},
          })),
        );
        return { status: 200 };
      },
      'add to cart': ({ ada: [first] }, side) =>
        post(first as HttpClient, side, '/cart/lines', { sku: 'wool-beret' }, PAGE.headers),
      checkout: ({ ada: [first], order }, side) =>
        post(first as HttpClient, side, '/checkout', { order }),
    };

    let worlds = 0;
    async function newWorld(): Promise<World> {
      const email = `${store.name.replaceAll(' ', '')}-${++worlds}@example.test`;
      const who = { ...checkedIdentity(email, 'Ada'), passwordHash: oldHash };
      const account = (await accounts().create(newAccount(who))) ?? assert.fail();
      const [ada, guests] = [0, 1].map(() =>
        [0, 1].map(() => httpClient(processes[0]?.origin ?? '')),
      );
      for (const client of ada ?? [])
        await client.post('/login', { json: { email, password: OLD } });
      await ada?.[0]?.post('/cart/lines', { json: { sku: 'bowler-hat', quantity: 2 } });
      const { id } = account;
      const order = (await createCarts(documents()).read(id)).orderId;
      return { id, email, ada: ada ?? [], guests: guests ?? [], order };
    }

    /** Everything that is visible from outside when both have finished. */
    async function outcome(world: World, old: HttpClient[], responses: { status: number }[]) {
      const { id, email, ada, guests } = world;
      // Only users can open this page, and it reads only the session and the account.
      const isIn = async (client: HttpClient) =>
        (await on(client, 0).get('/account/password')).status === 200;
      const [cart, orders] = [createCarts(documents()), createOrders(documents())];
      const whoIsIn = () => {
        const asked = new Map<string, Promise<boolean>>();
        return Promise.all(
          [...ada, ...guests, ...old].map((client) => {
            const { cookie = 'none' } = client;
            const answer = asked.get(cookie) ?? isIn(client);
            asked.set(cookie, answer);
            return answer;
          }),
        );
      };
      const account = (await accounts().find(email)) ?? assert.fail();
      const changed = account.passwordHash !== oldHash;
      const matches = await Promise.all(
        NEW.map(async (p) => changed && verifyPassword(p, account.passwordHash)),
      );
      const loggedIn = await whoIsIn();
      if (account.disabled)
        await accounts().change(account, (now) => ({ ...now, disabled: false }));
      return JSON.stringify({
        done: responses.map(({ status }) => status < 400),
        loggedIn,
        disabled: account.disabled === true,
        ...(account.disabled && { loggedInWhenEnabled: await whoIsIn() }),
        cart: (await cart.read(id)).lines,
        orders: (await orders.ofAccount(id)).orders.map(({ lines }) => lines.length),
        password: changed ? NEW[matches.indexOf(true)] : OLD,
      });
    }

    const newActor = (waitsBefore = 0) => {
      const gate = Promise.withResolvers<void>();
      const arrival = Promise.withResolvers<void>();
      const who = { calls: 0, waitsBefore, arrived: arrival.resolve, goOn: gate.promise };
      return { who, arrived: arrival.promise, goOn: gate.resolve };
    };

    type Step = { operation: Operation; side: number };
    /** One step after the other. A side without a step counts as refused. */
    async function serial(...steps: Step[]) {
      const world = await newWorld();
      const old = world.ada.map((client) => on(client, 0));
      const responses = [{ status: 500 }, { status: 500 }];
      for (const { operation, side } of steps) {
        actors.set(String(side), newActor().who);
        responses[side] = await operation(world, side);
      }
      return outcome(world, old, responses);
    }

    /** The outcome of these steps in turn, found on the first store. It must be the same on all others. */
    function inTurn(...steps: (Step & { name: string })[]) {
      const key = JSON.stringify(steps);
      const result = known.get(key) ?? serial(...steps);
      known.set(key, result);
      return result;
    }

    /**
     * The first stops before its n-th call to the store, and the second runs in full at that point.
     */
    async function interleaved(one: Operation, two: Operation, n: number) {
      const world = await newWorld();
      const old = world.ada.map((client) => on(client, 0));
      const [first, second] = [newActor(n), newActor()];
      actors.set('0', first.who);
      actors.set('1', second.who);
      const running = one(world, 0);
      const stopped = await Promise.race([
        first.arrived.then(() => true),
        running.then(() => false),
      ]);
      const theirs = await two(world, 1);
      first.goOn();
      const responses = [await running, theirs];
      return { stopped, result: await outcome(world, old, responses) };
    }

    for (const [oneName, one] of Object.entries(operations))
      for (const [twoName, two] of Object.entries(operations))
        it(`gives “${oneName}” a valid result when “${twoName}” runs in the middle`, async () => {
          const [first, second] = [
            { name: oneName, operation: one, side: 0 },
            { name: twoName, operation: two, side: 1 },
          ];
          const expected = [
            await inTurn(first, second),
            await inTurn(second, first),
            await inTurn(first),
            await inTurn(second),
          ];
          let moments = 0;
          for (let stopped = true; stopped; moments++) {
            const { stopped: again, result } = await interleaved(one, two, moments + 1);
            stopped = again;
            assert.ok(expected.includes(result), `${moments}: ${[result, ...expected].join('\n')}`);
          }
          assert.ok(moments > 1);
        });
  },
  ['SQLite', 'PostgreSQL'],
);
