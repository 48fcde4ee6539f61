// deploy/redis/users.acl, in a real Redis.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { createClient } from 'redis';
import { startChild } from '../test-support/child.ts';
import { freePort } from '../test-support/free-port.ts';
import { httpClient } from '../test-support/http-client.ts';
import { startRedisWithUsers } from '../test-support/redis.ts';
import { run } from '../test-support/run.ts';
import { startServer } from '../test-support/start-server.ts';
import { ADA } from '../test-support/start-shop.ts';
import { tempDir } from '../test-support/temp-dir.ts';
import { until } from '../test-support/until.ts';

const file = new URL('../deploy/redis/users.acl', import.meta.url).pathname;

describe('with the users of deploy/redis/users.acl', () => {
  let redis: Awaited<ReturnType<typeof startRedisWithUsers>>;
  before(async () => {
    redis = await startRedisWithUsers();
  });
  after(() => redis.stop());

  it('the shop works: views, cart, log-in, account, checkout, log-out, ready', async (t) => {
    const server = await startServer({ SESSION_STORE: 'redis', REDIS_URL: redis.url });
    t.after(server.stop);
    const visitor = httpClient(server.origin);
    await until(async () => (await visitor.get('/readyz')).status === 200, 'ready');
    await visitor.get('/');
    assert.equal((await visitor.get('/')).json.views, 2);
    assert.equal((await visitor.post('/cart/lines', { json: { sku: 'bowler-hat' } })).status, 200);
    // More log-ins than the limit for failed ones: a successful one does not count.
    for (let n = 0; n < 11; n++)
      assert.equal((await visitor.post('/login', { json: ADA })).status, 200);
    assert.equal((await visitor.get('/cart')).json.count, 1);
    assert.equal((await visitor.get('/account')).json.sessions.length, 1);
    assert.equal((await visitor.post('/checkout')).status, 201);
    assert.equal((await visitor.post('/logout')).status, 200);
    assert.equal((await visitor.get('/cart')).json.count, 0);
    assert.doesNotMatch(server.output(), /NOPERM/);
  });

  it('allows what the shop needs: scripts and the counters of rate limits', async () => {
    const client = createClient({ url: redis.url });
    await client.connect();
    try {
      const sha = await client.scriptLoad("return redis.call('INCR', KEYS[1])");
      assert.equal(await client.evalSha(sha, { keys: ['limit:log-in'] }), 1);
      assert.equal(await client.pExpire('limit:log-in', 60_000), 1);
      assert.ok((await client.pTTL('limit:log-in')) > 0);
      assert.equal(await client.decr('limit:log-in'), 0);
      assert.equal(await client.del(['limit:log-in']), 1);
    } finally {
      client.destroy();
    }
  });

  for (const command of [
    'KEYS *',
    'SCAN 0',
    'FLUSHALL',
    'FLUSHDB',
    'CONFIG GET *',
    'ACL LIST',
    'MONITOR',
    'CLIENT LIST',
    'SHUTDOWN',
    'SCRIPT FLUSH',
    'PUBLISH news x',
    'LPUSH sess:x y',
    'RENAME sess:x limit:y',
  ])
    it(`refuses ${command}`, async () => {
      await assert.rejects(redis.cli(...command.split(' ')), /NOPERM.*no permissions to run/);
    });

  it('refuses every key with another prefix, even in scripts', async () => {
    const refused = /NOPERM.*keys|can't access at least one of the keys/;
    for (const key of ['other:1', 'doc:account:1'])
      await assert.rejects(redis.cli('GET', key), refused);
    await assert.rejects(redis.cli('SET', 'session:1', 'x'), refused);
    await assert.rejects(redis.cli('DEL', 'sess:1', 'other:1'), refused);
    await assert.rejects(redis.cli('EVAL', 'return 1', '1', 'other:1'), refused);
    const undeclared = "return redis.call('GET', 'other:1')";
    await assert.rejects(redis.cli('EVAL', undeclared, '0'), refused);
    const forbidden = "return redis.call('FLUSHALL')";
    await assert.rejects(redis.cli('EVAL', forbidden, '0'), /can't run this command|ACL failure/);
  });

  it('refuses clients without the password', async () => {
    const anyone = (...args: string[]) => run('redis-cli', ['-e', '-p', `${redis.port}`, ...args]);
    await assert.rejects(anyone('PING'), /NOAUTH/);
    await assert.rejects(anyone('AUTH', ''), /WRONGPASS/);
    await assert.rejects(anyone('AUTH', 'cloakroom', 'guess'), /WRONGPASS/);
  });
});

it('Redis does not start until the placeholder in users.acl is replaced', async () => {
  assert.match(await readFile(file, 'utf8'), /^user default off\nuser cloakroom on #SHA256-/);
  await using dir = await tempDir('redis');
  const args = [
    '--port',
    `${await freePort()}`,
    '--bind',
    '127.0.0.1',
    '--dir',
    dir.path,
    '--aclfile',
    file,
  ];
  const start = startChild('redis-server', args, { ready: /Ready to accept/ });
  await assert.rejects(start, /password hash must be exactly 64 characters/);
});
