import { Client } from 'undici';
import { demoProducts } from '../config/demo-data.ts';
import { inLanes } from '../test-support/in-lanes.ts';
import { ADA } from '../test-support/start-shop.ts';

/** What visitors request: the shop's page, as a guest (`view`) or logged in (`member`), and so on. */
export type Workload = 'view' | 'member' | 'add' | 'log-in';

/** A browser with its own session and, as if behind a proxy that terminates TLS, its own address. */
export type Visitor = { address: string; cookie: string; token: string };

/** The browser headers that matter here. */
export const BROWSER = {
  accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'accept-encoding': 'gzip, deflate, br',
  'accept-language': 'en-GB,en;q=0.5',
  'sec-fetch-site': 'same-origin',
  'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
  'x-forwarded-proto': 'https',
};

/** One request of a visitor. `n` selects the product for the cart. */
function ask(workload: Workload, { address, cookie, token }: Visitor, n = 0) {
  const headers = { ...BROWSER, 'x-forwarded-for': address, ...(cookie && { cookie }) };
  if (workload === 'view' || workload === 'member')
    return { method: 'GET', path: '/', headers } as const;
  const sku = demoProducts[n % demoProducts.length]?.sku ?? '';
  const fields = workload === 'add' ? { sku, quantity: '1' } : ADA;
  return {
    method: 'POST',
    path: workload === 'add' ? '/cart/lines' : '/login',
    headers: {
      ...headers,
      'x-csrf-token': token,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: String(new URLSearchParams(fields)),
  } as const;
}

/** Sends one request, which must succeed. The visitor keeps the cookie and the token of the response. */
export async function visit(
  origin: string,
  workload: Workload,
  visitor: Visitor,
): Promise<Response> {
  const { path, ...request } = ask(workload, visitor);
  const response = await fetch(origin + path, { ...request, redirect: 'manual' });
  if (response.status >= 400) throw new Error(`${workload} at ${origin}: ${response.status}`);
  const cookie = response.headers.getSetCookie().at(-1);
  if (cookie) visitor.cookie = cookie.split(';', 1)[0] ?? '';
  visitor.token = response.headers.get('x-csrf-token') ?? visitor.token;
  return response;
}

/** Visitors who have seen the shop once. */
export async function newVisitors(origin: string, count: number): Promise<Visitor[]> {
  const addresses = Array.from({ length: count }, (_, n) => `10.0.${n >> 8}.${n & 255}`);
  const visitors = addresses.map((address): Visitor => ({ address, cookie: '', token: '' }));
  await inLanes(visitors, async (visitor) => {
    await (await visit(origin, 'view', visitor)).arrayBuffer();
  });
  return visitors;
}

/** The visitors for a workload. Few of them can be logged in, because an account has few sessions. */
export async function visitorsFor(
  workload: Workload,
  origin: string,
  sessions: number,
): Promise<Visitor[]> {
  if (workload !== 'member') return newVisitors(origin, sessions);
  const members = await newVisitors(origin, 8);
  for (const member of members) await visit(origin, 'log-in', member);
  return members;
}

/** Requests a second, and the time in ms within which 99 % of the responses arrived. */
export type Load = { requests: number; rps: number; p99: number };

/**
 * Sends requests for `ms` milliseconds over at most 32 connections. Each connection waits for its response
 * before it sends again. Every response must be a success.
 */
export async function load(
  origin: string,
  workload: Workload,
  visitors: readonly Visitor[],
  ms: number,
): Promise<Load> {
  const connections = Math.min(32, visitors.length);
  const turns = workload === 'add' ? demoProducts.length : 1;
  const asks = Array.from({ length: turns }, (_, turn) =>
    visitors.map((visitor) => ask(workload, visitor, turn)),
  ).flat();
  // Each product gets its turn: a cart holds at most 99 of one.
  const offset = Math.floor(Math.random() * asks.length);
  const times: number[] = [];
  const started = performance.now();
  const send = async (from: number) => {
    await using client = Object.assign(new Client(origin), {
      [Symbol.asyncDispose]: () => client.destroy(),
    });
    for (let n = from; performance.now() < started + ms; n += connections) {
      const at = performance.now();
      const { statusCode, body } = await client.request(
        asks[(offset + n) % asks.length] as (typeof asks)[0],
      );
      await body.dump();
      times.push(performance.now() - at);
      if (statusCode >= 400) throw new Error(`${workload} at ${origin}: ${statusCode}`);
    }
  };
  await Promise.all(Array.from({ length: connections }, (_, from) => send(from)));
  const seconds = (performance.now() - started) / 1000;
  times.sort((a, b) => a - b);
  const p99 = times[Math.floor(times.length * 0.99)] ?? Number.NaN;
  return { requests: times.length, rps: times.length / seconds, p99 };
}
