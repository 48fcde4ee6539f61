import { setTimeout as sleep } from 'node:timers/promises';
import { listen } from '../../test-support/listen.ts';
import { assigning, leagueApp } from './app.ts';
import { type Browser, browser } from './browser.ts';
import type { Contestant } from './contestants.ts';

export const CHANGES = 200;
export const LOG_OUTS = 20;
const LONG_MS = 3_600_000;
const SHORT_MS = 1000;
const HANGS_MS = 10_000;

export type Figures = {
  /** Of 200 changes of one counter at the same time, all answered with 200: how many were kept. */
  counter: number;
  /** The same for 200 changes, each of a field of its own. */
  fields: number;
  /** Of 20 log-outs during a slow request: how many visitors were logged in again afterwards. */
  undone: number;
  /** The response to a client when the store refuses a write. */
  refused?: string;
  /** Of 20 expired sessions, how many records the store still holds after one more second. */
  left?: number;
};

export async function measure(contestant: Contestant): Promise<Figures> {
  await using stack = new AsyncDisposableStack();
  const running = await contestant.start(stack, LONG_MS);
  const { app, during } = leagueApp(running.session, running.style ?? assigning);
  const { origin } = stack.adopt(await listen(app), (site) => site.close());

  async function newVisitor(): Promise<Browser> {
    const visitor = browser(origin);
    await ok(visitor.post('/log-in'));
    return visitor;
  }
  const session = async (visitor: Browser) => (await visitor.get('/')).json;
  const atOnce = (visitor: Browser, path: (n: number) => string) =>
    Promise.all(Array.from({ length: CHANGES }, (_, n) => ok(visitor.post(path(n)))));

  const counting = await newVisitor();
  await atOnce(counting, () => '/add');
  const { items: counter = 0 } = await session(counting);

  const filling = await newVisitor();
  await atOnce(filling, (n) => `/set/field${n}`);
  const kept = Object.keys(await session(filling)).filter((name) => name.startsWith('field'));

  let undone = 0;
  for (let n = 0; n < LOG_OUTS; n++) {
    const visitor = await newVisitor();
    const old = browser(origin, visitor.cookies);
    await during(
      () => visitor.post('/slow-add'),
      async () => {
        await ok(visitor.post('/log-out'));
      },
    );
    // If the cookie holds the session, an old copy of it always works. So there, only the browser's
    // present cookie counts.
    const isBack = [visitor, ...(contestant.inCookie ? [] : [old])].map(session);
    if ((await Promise.all(isBack)).some(({ user }) => user)) undone++;
  }

  const figures: Figures = { counter, fields: kept.length, undone };
  const { refuse, accept, count } = running;
  if (refuse && accept) {
    const visitor = await newVisitor();
    const response = await during(
      () => Promise.race([visitor.post('/slow-add').catch(() => 'cut off'), hangs()]),
      async () => {
        await refuse();
      },
    );
    figures.refused = typeof response === 'string' ? response : `${response.status}`;
    await accept();
  }
  if (count) figures.left = await countExpired(contestant);
  return figures;
}

async function countExpired(contestant: Contestant): Promise<number> {
  await using stack = new AsyncDisposableStack();
  const { session, style = assigning, count } = await contestant.start(stack, SHORT_MS);
  const { origin } = stack.adopt(await listen(leagueApp(session, style).app), (s) => s.close());
  const visitors = Array.from({ length: LOG_OUTS }, () => browser(origin));
  for (const visitor of visitors) await ok(visitor.post('/log-in'));
  await sleep(2 * SHORT_MS);
  const [visitor] = visitors;
  if ((await visitor?.get('/'))?.json.user) throw new Error('it serves an expired session');
  return (await count?.()) ?? 0;
}

async function ok(response: ReturnType<Browser['post']>): Promise<void> {
  const { status } = await response;
  if (status !== 200) throw new Error(`answered ${status}`);
}

async function hangs(): Promise<string> {
  await sleep(HANGS_MS, undefined, { ref: false });
  return `nothing in ${HANGS_MS / 1000} s`;
}
