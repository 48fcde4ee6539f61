// Two requests of one account, in two processes. The second runs while the first is paused, at every
// possible moment. The result must be the same as one after the other, or one of the two is refused
// and changes nothing.

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomInt } from 'node:crypto';
import { after, before, it, mock } from 'node:test';
import express from 'express';
import { type HttpClient, httpClient } from '../test-support/http-client.ts';
import { type Listening, listen } from '../test-support/listen.ts';
import { createShop, PAGE, QUICK_PASSWORDS } from '../test-support/start-shop.ts';
import { onEachStore } from '../test-support/stores.ts';
import { createAccounts, identityOf, newAccount } from './accounts/accounts.ts';
import { hashPassword } from './accounts/passwords.ts';
import { createCarts } from './cart/account-carts.ts';
import { createOrders } from './orders/orders.ts';
import { sessionHandle } from './session/index.ts';
import { createDocuments } from './storage/documents.ts';

const OLD = 'a coat, a hat, an umbrella';
const NEW = ['an umbrella, a hat, a coat', 'a hat, a coat, an umbrella'];

// A call that waits at the gate must not count as a silent store.
const { setTimeout: inTime } = globalThis;
const patiently = (run: () => void, ms: number) => inTime(run, ms === 1500 ? 50_000 : ms);
mock.method(globalThis, 'setTimeout', patiently as typeof setTimeout);

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

/** An account with two browsers that are logged in, two that are about to, and a cart. */
type World = {
  id: string;
  email: string;
  ada: HttpClient[];
  guests: HttpClient[];
  /** What the form of the cart page sends. */
  order: string;
};
type Operation = (world: World, side: number) => Promise<{ status: number }>;

onEachStore('two operations at once', (store) => {
  let processes: Listening[];
  before(async () => {
    processes = await Promise.all([0, 1].map(() => listen(oneProcess())));
  });
  after(() => Promise.all(processes.map(({ close }) => close())));

  /** The shop. Its calls to the store pass the gate of the actor that the request names. */
  function oneProcess() {
    const options = { documents: gated(store.documents), hashCost: QUICK_PASSWORDS.hashCost };
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

  const documents = () => createDocuments(gated(store.documents));
  const accounts = () => createAccounts(documents());
  const on = (client: HttpClient, process: number) =>
    httpClient(processes[process]?.origin ?? '', client.cookie);
  const post = async (client: HttpClient, side: number, path: string, json = {}, more = {}) => {
    const there = on(client, side);
    const headers = { ...more, 'x-actor': String(side) };
    const answer = await there.post(path, { json, headers });
    if (answer.headers.has('set-cookie')) client.cookie = there.cookie;
    return answer;
  };
  const handleOf = ({ cookie = '' }: HttpClient) =>
    sessionHandle(/s:(.+)\./.exec(decodeURIComponent(cookie))?.[1] ?? '');

  const operations: Record<string, Operation> = {
    'log in': ({ guests, email }, side) =>
      post(guests[side] as HttpClient, side, '/login', { email, password: OLD }),
    'log out': ({ ada: [first] }, side) => post(first as HttpClient, side, '/logout'),
    'log out elsewhere': ({ ada: [, second] }, side) => post(second as HttpClient, side, '/logout'),
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
    const passwordHash = await hashPassword(OLD, QUICK_PASSWORDS.hashCost);
    const who = { ...identityOf(email, 'Ada'), passwordHash };
    const account = (await accounts().create(newAccount(who))) ?? assert.fail();
    const [ada, guests] = [0, 1].map(() =>
      [0, 1].map(() => httpClient(processes[0]?.origin ?? '')),
    );
    for (const client of ada ?? []) await client.post('/login', { json: { email, password: OLD } });
    await ada?.[0]?.post('/cart/lines', { json: { sku: 'bowler-hat', quantity: 2 } });
    for (const client of guests ?? [])
      await client.post('/cart/lines', { json: { sku: 'wool-beret' } });
    const { id } = account;
    const order = (await createCarts(documents()).read(id)).orderId;
    return { id, email, ada: ada ?? [], guests: guests ?? [], order };
  }

  /** Everything that is visible from outside when both have finished. */
  async function outcome(world: World, old: HttpClient[], answers: { status: number }[]) {
    const { id, email, ada, guests } = world;
    const isIn = async (client: HttpClient) => (await on(client, 0).get('/account')).status === 200;
    const [cart, orders] = [createCarts(documents()), createOrders(documents())];
    const canLogIn = async (password: string) =>
      (await httpClient(processes[0]?.origin ?? '').post('/login', { json: { email, password } }))
        .status === 200;
    const whoIsIn = async () => {
      const loggedIn = [];
      for (const client of [...ada, ...guests, ...old]) loggedIn.push(await isIn(client));
      return loggedIn;
    };
    const account = (await accounts().find(email)) ?? assert.fail();
    const loggedIn = await whoIsIn();
    if (account.disabled) await accounts().change(account, (now) => ({ ...now, disabled: false }));
    return JSON.stringify({
      done: answers.map(({ status }) => status < 400),
      loggedIn,
      disabled: account.disabled === true,
      ...(account.disabled && { loggedInWhenEnabled: await whoIsIn() }),
      cart: (await cart.read(id)).lines,
      orders: (await orders.ofAccount(id)).map(({ lines }) => lines.length),
      passwords: [await canLogIn(OLD), await canLogIn(NEW[0] ?? ''), await canLogIn(NEW[1] ?? '')],
    });
  }

  const newActor = (waitsBefore = 0) => {
    const gate = Promise.withResolvers<void>();
    const arrival = Promise.withResolvers<void>();
    const who = { calls: 0, waitsBefore, arrived: arrival.resolve, goOn: gate.promise };
    return { who, arrived: arrival.promise, goOn: gate.resolve };
  };

  /** One after the other, in the order of `sides`. A side that is missing counts as refused. */
  async function serial(one: Operation, two: Operation, sides: number[]) {
    const world = await newWorld();
    const old = world.ada.map((client) => on(client, 0));
    const answers = [{ status: 500 }, { status: 500 }];
    for (const side of sides) {
      actors.set(String(side), newActor().who);
      answers[side] = await (side === 0 ? one : two)(world, side);
    }
    return outcome(world, old, answers);
  }

  /** The first stops before its n-th call to the store, and the whole second runs there. */
  async function interleaved(one: Operation, two: Operation, n: number) {
    const world = await newWorld();
    const old = world.ada.map((client) => on(client, 0));
    const [first, second] = [newActor(n), newActor()];
    actors.set('0', first.who);
    actors.set('1', second.who);
    const running = one(world, 0);
    const stopped = await Promise.race([first.arrived.then(() => true), running.then(() => false)]);
    const theirs = await two(world, 1);
    first.goOn();
    const answers = [await running, theirs];
    return { stopped, result: await outcome(world, old, answers) };
  }

  for (const [oneName, one] of Object.entries(operations))
    for (const [twoName, two] of Object.entries(operations))
      it(`gives “${oneName}” a valid result when “${twoName}” runs in the middle`, async () => {
        const expected: string[] = [];
        for (const sides of [[0, 1], [1, 0], [0], [1]])
          expected.push(await serial(one, two, sides));
        let moments = 0;
        for (let stopped = true; stopped; moments++) {
          const { stopped: again, result } = await interleaved(one, two, moments + 1);
          stopped = again;
          assert.ok(expected.includes(result), `${moments}: ${[result, ...expected].join('\n')}`);
        }
        assert.ok(moments > 1);
      });
});
