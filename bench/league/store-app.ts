// The app of one contestant, in a process of its own, with the server of its store as its child:
// fork('store-app.ts', [NAME]), or [NAME, URL] to use the store of another one.
import { randomBytes } from 'node:crypto';
import { inLanes } from '../../test-support/in-lanes.ts';
import { listen } from '../../test-support/listen.ts';
import { assigning, leagueApp } from './app.ts';
import { contestants } from './contestants.ts';

const HOUR_MS = 3_600_000;

const [, , name, url] = process.argv;
const ended = Promise.withResolvers<void>();
process.once('disconnect', ended.resolve);
await using stack = new AsyncDisposableStack();
const contestant = contestants.find((each) => each.name === name);
if (!contestant) throw new Error(`No store is called ${name}`);
const { session, style = assigning, ...store } = await contestant.start(stack, HOUR_MS, url);
const { app } = leagueApp(session, style, { waitMs: 0 });
const { origin } = stack.adopt(await listen(app), (site) => site.close());

/** Stores that many sessions, whose visitors never come. */
async function fill(count: number): Promise<void> {
  const time = Date.now();
  const record = { version: 1, createdAt: time, lastSeenAt: time, user: 'ada', items: 1 };
  const insert = async () => {
    const key = randomBytes(32).toString('base64url');
    await store.backend?.compareAndSet(key, 0, record, HOUR_MS);
  };
  if (store.fill) await store.fill(count, JSON.stringify(record));
  else await inLanes(new Array<undefined>(count), insert);
}
process.on('message', (count: number) => void fill(count).then(() => process.send?.('filled')));

process.send?.({ origin, url: store.url });
await ended.promise;
await stack.disposeAsync();
process.exit(); // some packages keep timers that nothing can stop
