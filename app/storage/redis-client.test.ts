import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { connectTo } from '../../test-support/connect-to.ts';
import { freePort } from '../../test-support/free-port.ts';
import { httpClient } from '../../test-support/http-client.ts';
import {
  type RedisServer,
  startRedis,
  startRedisCluster,
  startRedisSentinel,
  startReplica,
} from '../../test-support/redis.ts';
import { startRelay } from '../../test-support/relay.ts';
import { startServer } from '../../test-support/start-server.ts';
import { onEachStore } from '../../test-support/stores.ts';
import { until } from '../../test-support/until.ts';
import { redisBackend } from '../session/index.ts';
import { whenConnected } from './redis-client.ts';

for (const [name, scheme, path] of [
  ['Redis', 'redis', ''],
  ['Redis Cluster', 'redis+cluster', ''],
  ['Redis Sentinel', 'redis+sentinel', '/cloakroom'],
] as const) {
  const urlOf = (port: number) => `${scheme}://127.0.0.1:${port}${path}`;

  it(`without ${name}, each command fails at once, and the reason is reported`, async (t) => {
    const errors: unknown[] = [];
    const redis = connectTo(urlOf(await freePort()), (error) => errors.push(error));
    t.after(redis.close);
    const backend = redisBackend(redis);
    for (const _ of [1, 2, 3]) {
      for (const ask of [
        () => backend.get('x'),
        () => backend.compareAndSet('x', 0, null),
        () => backend.destroy('x'),
        () => redis.check(),
      ]) {
        const answer = ask().then(String, () => 'failed');
        // Before any timer, input or output, so the speed of the machine does not matter.
        assert.equal(await Promise.race([answer, nextTurn('waits')]), 'failed');
      }
      await sleep(100);
    }
    await until(async () => errors.length > 0, 'the reason is reported');
    assert.ok(errors.length < 20, `${errors.length} errors in a third of a second`);
    const waited = whenConnected(redis, 100).then(() => 'no longer');
    assert.equal(await Promise.race([waited, sleep(1000, 'longer', { ref: false })]), 'no longer');
  });

  it(`a client that is closed before ${name} starts never connects`, async (t) => {
    const port = await freePort();
    const redis = connectTo(urlOf(port));
    await sleep(50);
    redis.close();
    const server = await startRedis({ port });
    t.after(server.stop);
    const done = redis.connected.then(() => 'done');
    assert.equal(await Promise.race([done, sleep(3000, 'keeps trying', { ref: false })]), 'done');
    await assert.rejects(redis.get('x'));
    assert.match(await server.cli('INFO', 'stats'), /^total_connections_received:1\r$/m);
  });
}

it('connects soon after Redis starts, even if that took a long time', async (t) => {
  const port = await freePort();
  const redis = connectTo(`redis://127.0.0.1:${port}`);
  t.after(redis.close);
  await sleep(4000);
  const server = await startRedis({ port });
  t.after(server.stop);
  await until(() => redis.check().then(() => true), 'connected', 10_000);
});

it('uses the database that the URL names', async (t) => {
  const server = await startRedis();
  t.after(server.stop);
  const redis = connectTo(`${server.url}/5`);
  t.after(redis.close);
  await redis.connected;
  await redis.eval("return redis.call('SET', KEYS[1], '12')", { keys: ['coat'], arguments: [] });
  assert.equal(await server.cli('-n', '5', 'GET', 'coat'), '12');
});

it('fails at once while Redis is down, and holds no command back', async (t) => {
  const server = await startRedis();
  t.after(server.stop);
  const errors: unknown[] = [];
  const redis = connectTo(server.url, (error) => errors.push(error));
  t.after(redis.close);
  await redis.connected;
  await server.kill();
  await until(async () => errors.length > 0, 'the error is reported');
  const answer = redis.get('x').then(String, () => 'failed');
  assert.equal(await Promise.race([answer, sleep(250, 'waits', { ref: false })]), 'failed');
});

it('opens another connection when the first one gets no answer', async (t) => {
  const server = await startRedis();
  t.after(server.stop);
  const relay = await startRelay(server.port);
  t.after(relay.stop);
  server.pause();
  const redis = connectTo(`redis://127.0.0.1:${relay.port}`);
  t.after(redis.close);
  await sleep(300);
  relay.silence();
  server.resume();
  await until(() => redis.check().then(() => true), 'another connection');
});

it('the shop works again on another connection when one falls silent without closing', async (t) => {
  const server = await startRedis();
  t.after(server.stop);
  const relay = await startRelay(server.port);
  t.after(relay.stop);
  const url = `redis://127.0.0.1:${relay.port}`;
  const shop = await startServer({ SESSION_STORE: 'redis', REDIS_URL: url });
  t.after(shop.stop);
  const visitor = httpClient(shop.origin);
  const works = async () => (await visitor.get('/')).status === 200;
  await until(works, 'ready');
  relay.silence();
  assert.equal((await visitor.get('/')).status, 503);
  await until(works, 'another connection');
});

it('keeps its connection to a Redis that is slow for a second', async (t) => {
  const server = await startRedis();
  t.after(server.stop);
  const redis = connectTo(server.url);
  t.after(redis.close);
  await redis.connected;
  const connectionId = async () => /^id=\d+/gm.exec(await server.cli('CLIENT', 'LIST'))?.[0];
  const before = await connectionId();
  await sleep(600); // until its first ping
  server.pause();
  await sleep(1200);
  server.resume();
  await sleep(300);
  assert.equal(await connectionId(), before);
});

it('finds the successor of a master that was dead at the start', async (t) => {
  const cluster = await startRedisCluster({ silenceMs: 2000 });
  t.after(cluster.stop);
  const dead = cluster.nodes.at(-1) as RedisServer;
  const replica = await startReplica(dead, 2000);
  t.after(replica.stop);
  await dead.kill();
  const redis = connectTo(cluster.url);
  t.after(redis.close);
  await sleep(1500);
  await assert.rejects(redis.check());
  await replica.cli('CLUSTER', 'FAILOVER', 'TAKEOVER');
  await until(() => redis.check().then(() => true), 'connected');
  assert.equal(await redis.get('foo'), null); // a key of the dead master
});

const stores = {
  Redis: async () => {
    const server = await startRedis();
    return { ...server, victim: server };
  },
  'Redis Cluster': async () => {
    const cluster = await startRedisCluster();
    return { ...cluster, victim: cluster.nodes[1] };
  },
  'Redis Sentinel': async () => {
    const sentinel = await startRedisSentinel();
    return { ...sentinel, victim: sentinel.master };
  },
};

for (const [name, start] of Object.entries(stores))
  it(`reports a lost connection to ${name}`, async (t) => {
    const { url, victim, stop } = await start();
    t.after(stop);
    const errors: unknown[] = [];
    const redis = connectTo(url, (error) => errors.push(error));
    t.after(redis.close);
    await until(() => redis.check().then(() => true), 'connected');
    errors.length = 0;
    await victim?.kill();
    await until(async () => errors.length > 0, 'the error is reported');
  });

onEachStore(
  'the keys with one prefix',
  (store) => {
    it('are each found once, on all masters, and no other keys are found', async () => {
      const { redis } = store;
      const set = "return redis.call('SET', KEYS[1], '12')";
      const coats = Array.from({ length: 60 }, (_, n) => `coat:${n}`);
      for (const key of [...coats, ...coats.map((coat) => `old-${coat}`)])
        await redis?.eval(set, { keys: [key], arguments: [] });
      assert.deepEqual((await redis?.keys('coat:'))?.toSorted(), coats.toSorted());
    });
  },
  ['Redis', 'Redis Cluster', 'Redis Sentinel'],
);
