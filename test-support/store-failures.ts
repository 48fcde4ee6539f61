import assert from 'node:assert/strict';
import { before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CONNECT_MS } from '../app/storage/drivers.ts';
import { openTestStore } from './open-store.ts';
import { startRelay } from './relay.ts';
import type { StoreServer } from './running-server.ts';
import { startShop } from './start-shop.ts';
import { serverOf } from './stores.ts';
import { until } from './until.ts';

/** @param keepsRecords whether the server's restart keeps what it has acknowledged */
export function testOutages(
  name: Parameters<typeof serverOf>[0],
  { keepsRecords }: { keepsRecords: boolean },
): void {
  describe(`the shop, on ${name},`, () => {
    let server: StoreServer;
    before(async () => {
      server = await serverOf(name);
    });

    async function openShop(t: TestContext, url = server.url) {
      const { backend, close } = await openTestStore(url, CONNECT_MS);
      const shop = await startShop(backend, { answerWithinMs: 1500 });
      t.after(async () => {
        await shop.close();
        await close();
      });
      const visitor = shop.visitor();
      await visitor.get('/');
      const status = async () => (await visitor.get('/')).status;
      const views = async () => (await visitor.get('/')).json.views;
      /** Pages and changes at once, more than a pool has connections. */
      const many = () =>
        Promise.all(
          Array.from({ length: 40 }, (_, n) =>
            n % 2 ? visitor.get('/') : visitor.post('/cart/lines', { json: { sku: 'bowler-hat' } }),
          ),
        );
      const isBack = () => until(async () => (await status()) === 200, 'back by itself');
      return { backend, status, views, many, isBack };
    }

    it('responds with 503 while its server is dead, and is back when the server is', async (t) => {
      const { views, many, isBack } = await openShop(t);
      assert.equal(await views(), 2);
      await many();
      await server.kill();
      for (const { status, headers } of await many()) {
        assert.deepEqual([status, headers.get('retry-after')], [503, '2']);
        assert.equal(headers.get('set-cookie'), null);
      }
      await server.restart();
      await isBack();
      const seen = await views();
      assert.ok(keepsRecords ? seen > 2 : seen <= 2, `${seen} views`);
    });

    it('responds with 503 while its server, or the connection to it, is silent; no call waits for long', async (t) => {
      // Hooks run in this order. Shops and stores can close only if the server answers.
      t.after(() => server.resume());
      const port = Number(new URL(server.url).port);
      const relay = await startRelay(port);
      t.after(relay.stop);
      const near = await openShop(t);
      const far = await openShop(t, server.url.replace(`:${port}`, `:${relay.port}`));
      await Promise.all([near.many(), far.many()]);
      relay.silence();
      await server.pause();
      const answers = () => near.backend.get('x').then(() => false);
      await until(() => Promise.race([answers(), sleep(500, true)]), 'silent');
      const questions = Promise.allSettled(
        Array.from({ length: 1500 }, () => near.backend.get('x')),
      );
      for (const refused of await Promise.all([near.many(), far.many()]))
        for (const { status } of refused) assert.equal(status, 503);
      await questions;
      server.resume();
      await Promise.all([near.isBack(), far.isBack()]);
    });
  });
}
