import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ADA, GRACE, PAGE, type Shop, startShop } from '../../test-support/start-shop.ts';
import { memoryBackend } from '../session/index.ts';

const RACES = ['adds', 'log-out', 'theft', 'tabs'];

describe('the race lab', () => {
  let shop: Shop;
  before(async () => {
    shop = await startShop(memoryBackend(), { lab: { outageSeconds: 0.5 } });
  });
  after(() => shop.close());

  it('loses adds in the tutorials’ shop although each gets a 200, and loses none here', async () => {
    const { tutorial, here } = (await shop.visitor().post('/lab/adds')).json;
    assert.ok(tutorial.right < 10, `${tutorial.right} of 20 were stored`);
    assert.deepEqual([here.right, here.total], [20, 20]);
    for (const { answers } of [tutorial, here]) assert.deepEqual(answers, Array(20).fill(200));
  });

  it('shows that a log-out is undone in the tutorials’ shop, and not here', async () => {
    const { tutorial, here } = (await shop.visitor().post('/lab/log-out')).json;
    assert.deepEqual([tutorial.right, tutorial.total, tutorial.answers], [0, 1, [200, 200]]);
    assert.deepEqual([here.right, here.answers], [1, [200, 409]]);
  });

  it('stores one of two tabs’ changes in the tutorials’ shop, and both here', async () => {
    const { tutorial, here } = (await shop.visitor().post('/lab/tabs')).json;
    assert.deepEqual([tutorial.right, here.right, here.total], [1, 2, 2]);
  });

  it('lets a thief with a stolen cookie in, unless the session is bound', async () => {
    const { tutorial, here } = (await shop.visitor().post('/lab/theft')).json;
    assert.deepEqual([tutorial.right, tutorial.answers], [0, [200]]);
    assert.deepEqual([here.right, here.answers], [1, [401]]);
  });

  it('gives the command that replays the visitor’s own cookie, and not the cookie itself', async () => {
    const visitor = shop.visitor();
    assert.match((await visitor.get('/lab', PAGE)).text, /a guest has no account to steal/);
    await visitor.post('/login', { json: GRACE });
    const { text } = await visitor.get('/lab', PAGE);
    assert.match(text, /Your session is <b>not bound<\/b>/);
    assert.match(text, /curl -i -H .*sid=VALUE.*\/account/);
    assert.ok(!text.includes(visitor.cookie?.slice('sid='.length) ?? ''));
  });

  it('redirects a form to a page with all results, which survive a reload', async () => {
    const visitor = shop.visitor();
    await visitor.post('/cart/lines', { json: { sku: 'bowler-hat' } });
    let query = '';
    for (const race of RACES) {
      const { status, headers } = await visitor.post(`/lab/${race}${query}`, PAGE);
      const { pathname, search, hash } = new URL(headers.get('location') ?? '', shop.origin);
      assert.deepEqual([status, pathname, hash], [303, '/lab', `#${race}`]);
      query = search;
    }
    assert.ok(query.length < 500, 'the address is short');
    const { text } = await visitor.get(`/lab${query}`, PAGE);
    for (const words of ['20 of 20</b> hats', 'The visitor stays logged out.', '2 of 2</b> items'])
      assert.ok(text.includes(words), words);
    assert.equal(text.match(/class="race newest" id="tabs"/g)?.length, 1);
    assert.doesNotMatch(text, /style=|<script>/);
    const { document } = (await visitor.get('/session')).json.coat;
    assert.deepEqual([document.version, document.cart], [1, { 'bowler-hat': 1 }]);
  });

  it('shows no results that it did not measure', async () => {
    const visitor = shop.visitor();
    await visitor.post('/cart/lines', { json: { sku: 'bowler-hat' } });
    const { headers } = await visitor.post('/lab/tabs', PAGE);
    const { searchParams } = new URL(headers.get('location') ?? '', shop.origin);
    const good = searchParams.get('results') ?? '';
    const cookie = decodeURIComponent(visitor.cookie ?? '').slice('sid=s:'.length);
    for (const bad of ['', 'lab:e30', `x${good}`, `${good}x`, good.replace('lab:', ''), cookie]) {
      const page = await visitor.get(`/lab?results=${encodeURIComponent(bad)}`, PAGE);
      assert.deepEqual([page.status, page.text.includes('class="bars"')], [200, false], bad);
    }
    assert.equal((await visitor.get('/lab?results=a&results=b', PAGE)).status, 200);
  });

  it('comes back by itself from the outage, and says that nothing was lost', async (t) => {
    const visitor = shop.visitor();
    await visitor.get('/');
    t.mock.timers.enable({ apis: ['setTimeout'] });
    assert.equal((await visitor.post('/lab/outage', PAGE)).headers.get('location'), '/lab');
    const { status, headers, text } = await visitor.get('/lab', PAGE);
    assert.deepEqual([status, headers.get('refresh')], [503, '1']);
    assert.match(text, /comes back by itself in <b[^>]*>1</);
    const form = await visitor.post('/cart/clear', PAGE);
    assert.deepEqual(
      [form.status, form.headers.get('refresh')],
      [503, null],
      'no form is sent again',
    );
    t.mock.timers.tick(500);
    const back = await visitor.get('/lab', PAGE);
    assert.deepEqual([back.status, back.headers.get('refresh')], [200, null]);
    assert.match(back.text, /The store is back, and nothing was lost\./);
  });

  it('takes the store down in no other browser of the account', async (t) => {
    const [visitor, other] = [shop.visitor(), shop.visitor()];
    await visitor.post('/login', { json: ADA });
    t.mock.timers.enable({ apis: ['setTimeout'] });
    await visitor.post('/lab/outage');
    assert.equal((await visitor.get('/account')).status, 503);
    assert.equal((await other.post('/login', { json: ADA })).status, 200);
    const { status, json } = await other.get('/account');
    assert.deepEqual([status, json.sessions.length], [200, 2]);
    t.mock.timers.tick(500);
    assert.equal((await visitor.get('/account')).status, 200);
  });

  it('takes the store down for one session, and loses nothing', async (t) => {
    const [visitor, other] = [shop.visitor(), shop.visitor()];
    for (const each of [visitor, other])
      await each.post('/cart/lines', { json: { sku: 'wool-beret' } });
    t.mock.timers.enable({ apis: ['setTimeout'] });
    assert.equal((await visitor.post('/lab/outage')).status, 200);
    const { status, headers } = await visitor.get('/cart', PAGE);
    assert.deepEqual([status, headers.get('retry-after')], [503, '2']);
    assert.equal((await other.get('/cart')).json.count, 1);
    t.mock.timers.tick(499);
    assert.equal((await visitor.get('/cart')).status, 503, 'it is down for the whole time');
    t.mock.timers.tick(1);
    assert.equal((await visitor.get('/cart')).json.count, 1, 'it is back');
    assert.match((await visitor.get('/session', PAGE)).text, /The store does not answer/);
    assert.equal((await shop.visitor().post('/lab/outage')).status, 409);
  });
});

it('the race lab exists only where the options open it, and the outage only with a duration', async (t) => {
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

it('the race lab runs one race at a time, lets only a few wait, and allows 30 a minute', async (t) => {
  const shop = await startShop(memoryBackend(), { lab: { outageSeconds: 0 } });
  t.after(shop.close);
  const crowd = Array.from({ length: 20 }, () => shop.visitor().post('/lab/adds'));
  const responses = await Promise.all(crowd);
  assert.ok(responses.some(({ status }) => status === 200));
  const busy = responses.filter(({ status }) => status === 503);
  assert.ok(busy.length > 0);
  for (const { headers } of busy) assert.equal(headers.get('retry-after'), '2');
  for (let n = 20; n < 30; n++) await shop.visitor().post('/lab/tabs');
  assert.equal((await shop.visitor().post('/lab/tabs')).status, 429);
});
