import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { it } from 'node:test';
import { connectTo } from '../../test-support/connect-to.ts';
import { openTestStore } from '../../test-support/open-store.ts';
import { startRedis } from '../../test-support/redis.ts';
import { tempDatabase } from '../../test-support/temp-dir.ts';
import { redisBackend } from '../session/index.ts';

it('documents move from Redis once: a second run changes nothing, not even after new changes', async (t) => {
  const redis = await startRedis();
  t.after(redis.stop);
  const target = await tempDatabase();
  t.after(target.stop);
  const move = async (env = {}) => {
    const file = new URL('move-documents-cli.ts', import.meta.url).pathname;
    const urls = { REDIS_URL: redis.url, DATABASE_URL: target.url };
    const child = spawn(process.execPath, [file], { env: { ...process.env, ...urls, ...env } });
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    return { status: child.exitCode ?? (await once(child, 'exit'))[0], stdout, stderr };
  };
  const client = connectTo(redis.url);
  t.after(client.close);
  await client.connected;
  const old = redisBackend(client, 'doc:');
  await old.compareAndSet('account:ada', 0, { name: 'Adá', version: 7 } as { version: 7 });
  await old.compareAndSet('cart:ada', 0, { version: 2 });
  await redisBackend(client).compareAndSet('a-session', 0, { version: 1 });

  const first = await move();
  assert.deepEqual([first.status, first.stderr], [0, '']);
  assert.match(first.stdout, /^From Redis at 127\.0\.0\.1:\d+ to \/.+\/shop\.db\ncopied: 2$/m);
  const { documents, backend, close } = await openTestStore(target.url);
  t.after(close);
  assert.equal(await documents.get('account:ada'), '{"version":7,"name":"Adá"}');
  assert.equal(await backend.get('a-session'), undefined);

  await documents.compareAndSet('cart:ada', 2, { version: 3 });
  await redis.cli('SET', 'doc:order:1', '{"version":');
  const second = await move();
  assert.equal(second.status, 1);
  assert.match(second.stderr, /^doc:order:1 is unreadable, and was left in Redis$/m);
  assert.match(second.stderr, /^doc:cart:ada differs in the database, and was left alone$/m);
  assert.match(second.stdout, /^copied: 0\nalready there: 1\ndifferent, left alone: 1$/m);
  assert.equal(await documents.get('cart:ada'), '{"version":3}');

  const away = await move({ REDIS_URL: 'redis://127.0.0.1:1' });
  assert.equal(away.status, 1);
  assert.match(away.stderr, /REDIS_URL names 127\.0\.0\.1:1, which cannot be read: .*REFUSED/);
});
