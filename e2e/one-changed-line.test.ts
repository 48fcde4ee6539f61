// The tutorials' app loses changes and undoes log-outs. After one changed line, `store: dropInStore(…)`,
// it does neither.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { MemoryStore } from 'express-session';
import { dropInStore, memoryBackend } from '../app/session/index.ts';
import { type Child, startChild } from '../test-support/child.ts';
import { beforeTheEnd, Gate } from '../test-support/gate.ts';
import { httpClient } from '../test-support/http-client.ts';
import { type Listening, listen } from '../test-support/listen.ts';
import { startRedis, startRedisCluster } from '../test-support/redis.ts';
import { tutorialApp } from '../test-support/tutorial-app.ts';

const gate = new Gate();
const cleanup = new AsyncDisposableStack();
after(() => cleanup.disposeAsync());

type Origins = { before: string[]; after: string[] };
/** Where the app listens: in one process with memory, in two with each Redis. */
const sites: Record<string, Origins> = {};

before(async () => {
  const site = async (app: Parameters<typeof listen>[0]): Promise<Listening> =>
    cleanup.adopt(await listen(app), ({ close }) => close());
  const pause = () => gate.pass();
  const stores = {
    before: new MemoryStore(),
    after: dropInStore(memoryBackend(), { counters: ['items'] }),
  };
  sites.memory = {
    before: [(await site(tutorialApp(stores.before, pause))).origin],
    after: [(await site(tutorialApp(stores.after, pause))).origin],
  };

  const { origin } = await site((_req, res) => void gate.pass().then(() => res.end()));
  const redis = cleanup.adopt(await startRedis(), ({ stop }) => stop());
  const cluster = cleanup.adopt(await startRedisCluster(), ({ stop }) => stop());
  const start = async () => {
    const file = `${import.meta.dirname}/tutorial-process.ts`;
    const ready = /Listening: (.*)\n/;
    const child = await startChild(process.execPath, [file, origin, redis.url, cluster.url], {
      ready,
    });
    cleanup.adopt<Child>(child, async ({ stop }) => void (await stop()));
    return JSON.parse(ready.exec(child.output())?.[1] ?? '') as { before: string; after: string }[];
  };
  const processes = await Promise.all([start(), start()]);
  for (const [n, name] of ['Redis', 'Redis Cluster'].entries())
    sites[name] = {
      before: processes.map((each) => each[n]?.before ?? ''),
      after: processes.map((each) => each[n]?.after ?? ''),
    };
});

/** How many of 200 changes at once are kept, and how many of 20 log-outs a slow request undoes. */
async function measure(origins: string[]) {
  const at = (n: number, cookie?: string) => httpClient(origins[n % origins.length] ?? '', cookie);
  const visitor = at(0);
  await visitor.post('/add');
  const adds = Array.from({ length: 200 }, (_, n) => at(n, visitor.cookie).post(`/cart/item${n}`));
  for (const { status } of await Promise.all(adds)) assert.equal(status, 200);
  const { cart, items } = (await visitor.get('/')).json;

  let undone = 0;
  for (let attempt = 0; attempt < 20; attempt++) {
    const client = at(0);
    await client.post('/login');
    const arrived = gate.expect();
    const slow = at(1, client.cookie).post('/slow-add');
    await beforeTheEnd(arrived, slow);
    await at(0, client.cookie).post('/logout');
    gate.open();
    await slow;
    if ((await client.get('/')).json.user === 'ada') undone += 1;
  }
  return { fields: Object.keys(cart).length, counted: items - 1, undone };
}

for (const name of ['memory', 'Redis', 'Redis Cluster'])
  it(`one changed line keeps all 200 changes and every log-out, on ${name}`, async (t) => {
    const origins = sites[name] ?? assert.fail();
    const [was, is] = [await measure(origins.before), await measure(origins.after)];
    t.diagnostic(`${name}, before: ${JSON.stringify(was)}, after: ${JSON.stringify(is)}`);
    assert.ok(was.fields < 195 && was.counted < 195, JSON.stringify(was));
    assert.equal(was.undone, 20);
    assert.deepEqual(is, { fields: 200, counted: 200, undone: 0 });
  });
