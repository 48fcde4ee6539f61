// npm run move-documents: copies accounts, carts and orders from REDIS_URL, where earlier versions kept
// them, to DATABASE_URL. It deletes nothing, and never replaces what the database already has.
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { nameOfDatabase } from '../../config/database-url.ts';
import { readCommandConfig } from '../../config/environment.ts';
import { openDatabase, openRedis } from './open-stores.ts';

const PREFIX = 'doc:';
const document = z.looseObject({ version: z.int().positive() });

const config = readCommandConfig();
const print = (line: string) => process.stdout.write(`${line}\n`);
const complain = (line: unknown) => {
  process.stderr.write(`${String(line)}\n`);
  process.exitCode = 1;
};

await move().catch((error: unknown) => complain(String(error)));

async function move(): Promise<void> {
  const servers = config.redis.nodes.map(({ host, port }) => `${host}:${port}`).join(', ');
  print(`From Redis at ${servers} to ${nameOfDatabase(config.database)}`);
  let firstError: unknown;
  const onError = (error: unknown) => {
    firstError ??= error;
  };
  await using cleanup = new AsyncDisposableStack();
  const redis = cleanup.adopt(await openRedis(config.redis, onError), ({ close }) => close());
  await redis.connected(3000);
  const keys = await redis.keys(PREFIX).catch((error: unknown) => {
    const reason = String(firstError ?? error);
    throw new Error(`REDIS_URL names ${servers}, which cannot be read: ${reason}`);
  });
  const opened = await openDatabase(config.database, complain, 10_000);
  const database = cleanup.adopt(opened, async ({ close }) => {
    await close();
  });
  const [from, to] = [redis.backend(PREFIX), database.backend(PREFIX)];
  const counts = {
    copied: 0,
    'already there': 0,
    'different, left alone': 0,
    unreadable: 0,
  };
  for (const key of keys) {
    const id = key.slice(PREFIX.length);
    const text = (await from.get(id)) ?? '';
    const parsed = document.safeParse(jsonOf(text));
    if (!parsed.success) {
      counts.unreadable += 1;
      complain(`${key} is unreadable, and was left in Redis`);
    } else if (await to.compareAndSet(id, 0, parsed.data)) counts.copied += 1;
    else if (isDeepStrictEqual(jsonOf((await to.get(id)) ?? ''), jsonOf(text)))
      counts['already there'] += 1;
    else {
      counts['different, left alone'] += 1;
      complain(`${key} differs in the database, and was left alone`);
    }
  }
  for (const [what, count] of Object.entries(counts)) print(`${what}: ${count}`);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
