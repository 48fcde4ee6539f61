import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ADA, PAGE, type Shop, startShop } from '../../test-support/start-shop.ts';
import { memoryBackend } from '../session/index.ts';

const RACES = ['adds', 'log-out', 'tabs'];

describe('the race lab', () => {
  let shop: Shop;
  before(async () => {
    shop = await startShop(memoryBackend(), { lab: { outageSeconds: 0.5 } });
  });
  after(() => shop.close());

  it('loses adds the tutorials’ way, each answered 200, and none here', async () => {
    const { tutorial, here } = (await shop.visitor().post('/lab/adds')).json;
    assert.ok(tutorial.kept < 10, `${tutorial.kept} of 20 were kept`);
    assert.deepEqual([here.kept, here.of], [20, 20]);
    for (const { answers } of [tutorial, here]) assert.deepEqual(answers, Array(20).fill(200));
  });

  it('sees who logged out come back the tutorials’ way, and not here', async () => {
    const { tutorial, here } = (await shop.visitor().post('/lab/log-out')).json;
    assert.deepEqual([tutorial.kept, tutorial.of, tutorial.answers], [0, 1, [200, 200]]);
    assert.deepEqual([here.kept, here.answers], [1, [200, 409]]);
  });

  it('keeps one of two tabs’ changes the tutorials’ way, and both here', async () => {
    const { tutorial, here } = (await shop.visitor().post('/lab/tabs')).json;
    assert.deepEqual([tutorial.kept, here.kept, here.of], [1, 2, 2]);
  });

  it('has a result that leads back to the lab, for a page is asked for again when its user has left', async () => {
    const visitor = shop.visitor();
    await visitor.post('/login', { json: ADA });
    const { text } = await visitor.post('/lab/adds', PAGE);
    assert.match(text, /data-again="\/lab"/);
  });

  it('draws the result as a page, and leaves the visitor’s own session alone', async () => {
    const visitor = shop.visitor();
    await visitor.post('/cart/lines', { json: { sku: 'bowler-hat' } });
    for (const race of RACES) {
      const { text } = await visitor.post(`/lab/${race}`, PAGE);
      assert.match(text, /class="(lost|problem)"/);
      assert.match(text, /class="(kept|flash)"/);
      assert.doesNotMatch(text, /style=|<script>/);
    }
    const { document } = (await visitor.get('/session')).json.coat;
    assert.deepEqual([document.version, document.cart], [1, { 'bowler-hat': 1 }]);
  });

  it('lets the store go away for one session, and loses nothing', async (t) => {
    const [visitor, other] = [shop.visitor(), shop.visitor()];
    for (const each of [visitor, other])
      await each.post('/cart/lines', { json: { sku: 'wool-beret' } });
    t.mock.timers.enable({ apis: ['setTimeout'] });
    assert.equal((await visitor.post('/lab/outage')).status, 200);
    const { status, headers } = await visitor.get('/cart', PAGE);
    assert.deepEqual([status, headers.get('retry-after')], [503, '2']);
    assert.equal((await other.get('/cart')).json.count, 1);
    t.mock.timers.tick(499);
    assert.equal((await visitor.get('/cart')).status, 503, 'it is away for as long as was said');
    t.mock.timers.tick(1);
    assert.equal((await visitor.get('/cart')).json.count, 1, 'it is back');
    assert.match((await visitor.get('/session', PAGE)).text, /The store does not answer/);
    assert.equal((await shop.visitor().post('/lab/outage')).status, 409);
  });
});

it('the race lab is not there unless it is asked for, nor is the outage in production', async (t) => {
  const shop = await startShop(memoryBackend());
  t.after(shop.close);
  assert.equal((await shop.visitor().get('/lab')).status, 404);
  for (const name of [...RACES, 'outage'])
    assert.equal((await shop.visitor().post(`/lab/${name}`)).status, 404, name);
  assert.doesNotMatch((await shop.visitor().get('/guide/lost-changes', PAGE)).text, /race lab/);
  const asked = await startShop(memoryBackend(), { lab: { outageSeconds: 0 } });
  t.after(asked.close);
  const visitor = asked.visitor();
  await visitor.get('/');
  assert.equal((await visitor.post('/lab/outage')).status, 404);
  assert.equal((await visitor.post('/lab/constructor')).status, 404);
  assert.doesNotMatch((await visitor.get('/lab', PAGE)).text, /goes away/);
});

it('the race lab runs one race at a time, few wait, and 30 a minute are enough', async (t) => {
  const shop = await startShop(memoryBackend(), { lab: { outageSeconds: 0 } });
  t.after(shop.close);
  const crowd = Array.from({ length: 20 }, () => shop.visitor().post('/lab/adds'));
  const answers = await Promise.all(crowd);
  assert.ok(answers.some(({ status }) => status === 200));
  const busy = answers.filter(({ status }) => status === 503);
  assert.ok(busy.length > 0);
  for (const { headers } of busy) assert.equal(headers.get('retry-after'), '2');
  for (let n = 20; n < 30; n++) await shop.visitor().post('/lab/tabs');
  assert.equal((await shop.visitor().post('/lab/tabs')).status, 429);
});
