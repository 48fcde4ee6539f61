import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { createClient, createCluster, createSentinel } from 'redis';
import { makeCertificate } from './certificate.ts';
import { startChild } from './child.ts';
import { freePort } from './free-port.ts';
import type { RedisServer } from './redis.ts';
import { startRedis, startRedisCluster, startRedisSentinel, startTlsRedis } from './redis.ts';
import { run } from './run.ts';
import { tempDir } from './temp-dir.ts';
import { until } from './until.ts';

/** The process and the directory of a Redis, as it reports them. */
async function traces(server: RedisServer): Promise<{ pid: number; dir: string }> {
  const info = await server.cli('INFO', 'server');
  const file = /config_file:(.+)\r/.exec(info)?.[1];
  const dir = file ? dirname(file) : (await server.cli('CONFIG', 'GET', 'dir')).split('\n')[1];
  const pid = Number(/process_id:(\d+)/.exec(info)?.[1]);
  assert.ok(pid > 0 && isRunning(pid), 'it runs');
  assert.ok(dir && existsSync(dir), 'it has a directory');
  return { pid, dir };
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function assertGone(found: { pid: number; dir: string }[]): void {
  for (const { pid, dir } of found) {
    assert.equal(isRunning(pid), false, `process ${pid} is gone`);
    assert.equal(existsSync(dir), false, `${dir} is removed`);
  }
}

const hostsAndPorts = (url: string) =>
  [...url.matchAll(/([\d.]+):(\d+)/g)].map(([, host = '', port]) => ({ host, port: Number(port) }));

test('free ports differ', async () => {
  const ports = await Promise.all(Array.from({ length: 50 }, freePort));
  assert.equal(new Set(ports).size, 50);
});

test('a missing program is named', async () => {
  const start = startChild('no-such-program', [], { ready: /./ });
  await assert.rejects(start, /^Error: no-such-program is not installed/);
  const { PATH } = process.env;
  try {
    process.env.PATH = '/nonexistent';
    await assert.rejects(startRedis(), /^Error: redis-server is not installed/);
    await using dir = await tempDir('certificate');
    await assert.rejects(makeCertificate(dir.path), /^Error: openssl is not installed/);
  } finally {
    process.env.PATH = PATH;
  }
});

test('a child that ends before it is ready is reported with its output', async () => {
  await using dir = await tempDir('child');
  const start = (script: string, timeoutMs = 100_000, ready = async () => false) =>
    startChild('sh', ['-c', script], { cwd: dir.path, ready, name: 'sample', timeoutMs });
  await assert.rejects(start('echo no luck >&2; exit 3'), /^Error: sample ended with 3\nno luck/);
  // Blocks this process until the child has written its output, so that the timeout cannot come
  // first.
  const hasWritten = async () => {
    while (!existsSync(join(dir.path, 'written'))) spawnSync('sleep', ['0.01']);
    return false;
  };
  await assert.rejects(
    start('echo still busy; >written; exec sleep 60', 500, hasWritten),
    /^Error: sample is ready: not within 500 ms\nstill busy/,
  );
});

test('a child stops only once, and its exit code and last output are kept', async () => {
  const script = `process.on('SIGTERM', () => { console.log('bye'); process.exit(4) });
    setInterval(() => {}, 1000); console.log(process.env.GREETING)`;
  const child = await startChild(process.execPath, ['-e', script], {
    env: { GREETING: 'hello' },
    ready: /hello/,
  });
  child.kill('SIGSTOP');
  assert.deepEqual(await Promise.all([child.stop(), child.stop()]), [4, 4]);
  assert.equal(child.output(), 'hello\nbye\n');
  assert.equal(await child.exited, 4);
});

for (const end of ['process.exit()', 'process.kill(process.pid)', 'throw new Error()']) {
  test(`no server outlives a test process that ends by ${end}`, async () => {
    const script = `
      const { startRedis } = await import(${JSON.stringify(import.meta.resolve('./redis.ts'))});
      const server = await startRedis();
      setInterval(() => {}, 1000);
      process.once('SIGUSR2', () => { ${end} });
      console.log(server.port, await server.cli('CONFIG', 'GET', 'dir'))`;
    const args = ['--input-type=module', '-e', script];
    const child = await startChild(process.execPath, args, { ready: /\/.+\n/ });
    const [port = '', , dir = ''] = child.output().split(/\s+/);
    assert.equal(await run('redis-cli', ['-p', port, 'PING']), 'PONG');
    assert.ok(existsSync(dir));
    child.kill('SIGUSR2');
    await child.exited;
    const isRefused = () => assert.rejects(run('redis-cli', ['-p', port, 'PING']), /refused/);
    await until(() => isRefused().then(() => true), 'Redis is gone');
    assert.equal(existsSync(dir), false);
  });
}

test('Redis answers, and is killed, restarted, paused and resumed on its port', async (t) => {
  const server = await startRedis();
  t.after(server.stop);
  const client = createClient({ url: server.url });
  client.on('error', () => {});
  await client.connect();
  await client.set('coat', '12');
  assert.equal(await server.cli('GET', 'coat'), '12');
  await assert.rejects(server.cli('INCRBY', 'coat', 'x'), /not an integer/);
  const killed = await traces(server);
  await server.kill();
  assert.equal(isRunning(killed.pid), false);
  await server.restart();
  await until(async () => client.isReady, 'the client is back');
  assert.equal(await client.get('coat'), null);
  server.pause();
  const pong = client.ping();
  assert.equal(await Promise.race([pong, new Promise((done) => setTimeout(done, 200))]), undefined);
  server.resume();
  assert.equal(await pong, 'PONG');
  const found = await traces(server);
  server.pause();
  await server.stop();
  await server.stop();
  client.destroy();
  assertGone([killed, found]);
});

test('Redis takes a port and arguments', async (t) => {
  const port = await freePort();
  const server = await startRedis({ port, args: ['--requirepass', 'secret'] });
  t.after(server.stop);
  const client = createClient({ url: `redis://:secret@127.0.0.1:${port}` });
  await client.connect();
  assert.equal(await client.ping(), 'PONG');
  await client.close();
  await assert.rejects(server.cli('PING'), /NOAUTH/);
  await assert.rejects(startRedis({ port }), /Address already in use/);
  await server.stop();
});

test('Redis over TLS answers clients that trust its CA, and no others', async (t) => {
  const server = await startTlsRedis();
  t.after(server.stop);
  const ca = await readFile(server.caFile);
  const client = createClient({ url: server.url, socket: { tls: true, ca } });
  await client.connect();
  assert.equal(await client.ping(), 'PONG');
  await client.close();
  const distrustful = createClient({
    url: server.url,
    socket: { tls: true, reconnectStrategy: false },
  });
  distrustful.on('error', () => {});
  await assert.rejects(distrustful.connect(), /certificate/);
  const found = await traces(server);
  assert.equal(found.dir, dirname(server.caFile));
  await server.stop();
  assertGone([found]);
});

test('a Redis cluster answers with keys on all three nodes', async (t) => {
  const { url, nodes, stop } = await startRedisCluster();
  t.after(stop);
  const rootNodes = hostsAndPorts(url).map((socket) => ({ socket }));
  const cluster = createCluster({ rootNodes });
  await cluster.connect();
  assert.equal(cluster.masters.length, 3);
  const keys = Array.from({ length: 60 }, (_, index) => `coat:${index}`);
  await Promise.all(keys.map((key) => cluster.set(key, key)));
  assert.deepEqual(await Promise.all(keys.map((key) => cluster.get(key))), keys);
  for (const node of nodes) assert.ok(Number(await node.cli('DBSIZE')) > 0);
  await cluster.close();
  const found = await Promise.all(nodes.map(traces));
  await stop();
  assertGone(found);
});

test('Redis Sentinel answers, and promotes the replica when the master is killed', async (t) => {
  const { url, master, replica, sentinels, stop } = await startRedisSentinel({ silenceMs: 1000 });
  t.after(stop);
  const found = await Promise.all([master, replica, ...sentinels].map(traces));
  const client = createSentinel({
    name: url.replace(/.*\//, ''),
    sentinelRootNodes: hostsAndPorts(url),
  });
  client.on('error', () => {});
  await client.connect();
  await client.set('coat', '12');
  await until(async () => (await replica.cli('GET', 'coat')) === '12', 'the replica has the key');
  await master.kill();
  const isPromoted = async () => (await replica.cli('ROLE')).startsWith('master');
  await until(isPromoted, 'the replica is promoted');
  await until(async () => (await client.get('coat')) === '12', 'the client follows');
  await client.destroy();
  await stop();
  assertGone(found);
});
