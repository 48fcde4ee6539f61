import { setTimeout as sleep } from 'node:timers/promises';
import { demoProducts } from '../config/demo-data.ts';
import { type HttpClient, httpClient } from '../test-support/http-client.ts';
import type { TimedResponse } from './visitors.ts';

const VISITORS = 12;
const STEPS_A_LOG_IN = 40;
const PAUSE_MS = 250;
/** A cart holds 99 of each product. It is emptied well before. */
const FULL = 60;
/** A shop that refuses a visitor for longer is broken. */
const PATIENCE_MS = 60_000;

/**
 * What a cart must hold. A change that was refused, or that got no response, may have been stored: it
 * counts as uncertain.
 */
type Ledger = { acknowledged: number; uncertain: number };

/** Visitors who register, fill a cart as a guest, log in, fill it in two tabs, and log out, until `stop`. */
export function startSoakVisitors(origin: string) {
  const acknowledged = { changes: 0, logIns: 0, logOuts: 0, views: 0 };
  const problems: string[] = [];
  const over = new AbortController();
  let responses: TimedResponse[] = [];
  const waiting = new Set<number>();

  const visit = async (n: number) => {
    const headers = { 'x-forwarded-proto': 'https', 'x-forwarded-for': `10.9.0.${n + 1}` };
    const account = {
      email: `visitor-${n}@example.com`,
      name: `Visitor ${n}`,
      password: `long-enough-${n}-for-a-soak`,
    };
    const problem = (what: string) => problems.push(`visitor ${n}: ${what}`);

    /** One request. Its status is 0 if no response came. */
    const ask = async (client: HttpClient, method: string, path: string, json?: object) => {
      const at = performance.now();
      const response = await client
        .request(method, path, { headers, ...(json && { json }) })
        .catch(() => ({ status: 0, json: undefined }));
      const { status } = response;
      responses.push({ at, ms: performance.now() - at, status });
      if (status === 503 || status === 0) waiting.add(n);
      else waiting.delete(n);
      return response;
    };
    /** Asks until the response is neither a refusal nor missing. */
    const insist = async (...args: Parameters<typeof ask>) => {
      for (let refused = 0; ; refused++) {
        const response = await ask(...args);
        if (response.status !== 503 && response.status !== 0) return { ...response, refused };
        if (refused * PAUSE_MS > PATIENCE_MS) throw new Error(`visitor ${n} was refused too long`);
        await sleep(PAUSE_MS);
      }
    };
    const expect = (what: string, status: number, ...wanted: number[]) => {
      if (!wanted.includes(status)) problem(`${what} was answered with ${status}`);
    };

    const add = async (client: HttpClient, ledger: Ledger, step: number) => {
      const sku = demoProducts[step % demoProducts.length]?.sku;
      const { status } = await ask(client, 'POST', '/cart/lines', { sku });
      if (status === 200) {
        ledger.acknowledged += 1;
        acknowledged.changes += 1;
      } else {
        ledger.uncertain += 1;
        expect('an add', status, 503, 0);
      }
    };
    const count = async (client: HttpClient, ledger: Ledger, when: string) => {
      const { status, json } = await insist(client, 'GET', '/cart');
      expect('the cart', status, 200);
      const least = ledger.acknowledged;
      const most = least + ledger.uncertain;
      if (!(json?.count >= least && json.count <= most))
        problem(`${when}, the cart holds ${json?.count}, not ${least} to ${most}`);
    };
    const view = async (client: HttpClient, name: string | null) => {
      const { status, json } = await ask(client, 'GET', '/');
      if (status !== 200) return expect('a view', status, 503, 0);
      acknowledged.views += 1;
      const seen = json.user?.name ?? null;
      if (seen !== name) problem(`the shop greets ${seen}, not ${name}`);
    };

    const own: Ledger = { acknowledged: 0, uncertain: 0 };
    const first = httpClient(origin);
    await insist(first, 'GET', '/');
    expect(
      'the registration',
      (await insist(first, 'POST', '/register', account)).status,
      201,
      409,
    );

    while (!over.signal.aborted) {
      const client = httpClient(origin);
      const guests: Ledger = { acknowledged: 0, uncertain: 0 };
      await insist(client, 'GET', '/');
      await add(client, guests, n);
      await Promise.all([add(client, guests, n), add(client, guests, n + 1)]);
      await count(client, guests, 'before the log-in');

      const { email, password } = account;
      const logIn = await insist(client, 'POST', '/login', { email, password });
      expect('the log-in', logIn.status, 200);
      acknowledged.logIns += 1;
      // Each refused attempt may have added the guest's lines, and so may the one that succeeded.
      const merges = logIn.refused + 1;
      own.acknowledged += logIn.refused > 0 ? 0 : guests.acknowledged;
      own.uncertain +=
        logIn.refused > 0 ? merges * (guests.acknowledged + guests.uncertain) : guests.uncertain;

      for (let step = 0; step < STEPS_A_LOG_IN && !over.signal.aborted; step++) {
        await Promise.all([
          add(client, own, step),
          add(client, own, step + 1),
          view(client, account.name),
        ]);
        if (step % 10 === 0) await count(client, own, 'while logged in');
        if (own.acknowledged + own.uncertain > FULL) {
          await count(client, own, 'before it is emptied');
          expect('emptying', (await insist(client, 'POST', '/cart/clear')).status, 200);
          acknowledged.changes += 1;
          Object.assign(own, { acknowledged: 0, uncertain: 0 });
        }
        await sleep(PAUSE_MS);
      }

      const { cookie } = client;
      // A log-out that fails is answered with 500, and the visitor tries again.
      let logOut = await insist(client, 'POST', '/logout');
      for (; logOut.status === 500; logOut = await insist(client, 'POST', '/logout'))
        await sleep(PAUSE_MS);
      expect('the log-out', logOut.status, 200);
      acknowledged.logOuts += 1;
      const thief = httpClient(origin, cookie);
      const { json } = await insist(thief, 'GET', '/');
      if (json?.user !== null) problem(`logged out, but the shop still greets ${json?.user?.name}`);
    }

    const last = httpClient(origin);
    await insist(last, 'POST', '/login', { email: account.email, password: account.password });
    await count(last, own, 'at the end');
  };

  const visits = Promise.all(Array.from({ length: VISITORS }, (_, n) => visit(n))).catch(
    (error) => void problems.push(String(error)),
  );
  return {
    problems,
    acknowledged,
    /** The responses since the last call. */
    takeResponses: () => {
      const taken = responses;
      responses = [];
      return taken;
    },
    /** Resolves once no visitor waits for a response after a refusal. */
    allAnswered: async () => {
      for (const until = performance.now() + 90_000; waiting.size > 0; await sleep(100))
        if (performance.now() > until) {
          problems.push(`${waiting.size} visitors still refused 90 s later`);
          break;
        }
    },
    stop: async () => {
      over.abort();
      await visits;
    },
  };
}
