// npm run move-documents: copies accounts, carts and orders from REDIS_URL, where earlier versions kept
// them, to DATABASE_URL. It deletes nothing, and never replaces what the database already has.
import { z } from 'zod';
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

await using cleanup = new AsyncDisposableStack();
const redis = cleanup.adopt(await openRedis(config.redis, () => {}), ({ close }) => close());
const database = cleanup.adopt(await openDatabase(config.database, complain), async ({ close }) => {
  await close();
});
try {
  await redis.connected(3000);
  await move();
} catch (error) {
  complain(String(error));
}

async function move(): Promise<void> {
  const [from, to] = [redis.backend(PREFIX), database.backend(PREFIX)];
  const counts = {
    moved: 0,
    'were there already': 0,
    'differ and were left alone': 0,
    unreadable: 0,
  };
  for (const key of await redis.keys(PREFIX)) {
    const id = key.slice(PREFIX.length);
    const text = (await from.get(id)) ?? '';
    const parsed = document.safeParse(jsonOf(text));
    if (!parsed.success) {
      counts.unreadable += 1;
      complain(`${key} is unreadable, and was left in Redis`);
    } else if (await to.compareAndSet(id, 0, parsed.data)) counts.moved += 1;
    else if ((await to.get(id)) === text) counts['were there already'] += 1;
    else counts['differ and were left alone'] += 1;
  }
  for (const [what, count] of Object.entries(counts)) print(`${count} ${what}`);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
