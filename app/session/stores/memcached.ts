import { type Backend, versionOf } from './backend.ts';
import { hasMethods, requireAll } from './require.ts';

/** The part of memcache-client used here. */
export type MemcachedCommands = {
  gets(key: string): Promise<{ value: unknown; casUniq: string | number } | undefined>;
  add(key: string, text: string, options: Lifetime): Promise<unknown>;
  cas(
    key: string,
    text: string,
    options: Lifetime & { casUniq: string | number },
  ): Promise<unknown>;
  delete(key: string): Promise<unknown>;
};
type Lifetime = { lifetime: number };

/** Memcached reads a larger number of seconds as a date. */
const LONGEST_LIFETIME = 30 * 24 * 3600;
/** In 2038. Memcached would take a later date for one in the past. */
const LAST_DATE = 2 ** 31 - 1;
const NO_END = 0;
/** A record with this lifetime has already expired when it is stored. */
const AT_ONCE = -1;

/**
 * Keeps records in one Memcached server, under keys that start with `prefix`. They expire up to two
 * seconds late. Memcached forgets all of them when it restarts, and the ones unused longest when
 * its memory is full: their visitors are logged out.
 */
export function memcachedBackend(client: MemcachedCommands, prefix = 'sess:'): Backend {
  requireAll([
    hasMethods(client, 'gets', 'add', 'cas', 'delete'),
    'memcachedBackend takes a client of memcache-client',
  ]);
  const get = async (id: string) => {
    const found = await client.gets(keyOf(prefix, id));
    return found && String(found.value);
  };
  return {
    get,
    compareAndSet: async (id, version, next, ttlMs) => {
      const key = keyOf(prefix, id);
      const text = JSON.stringify(next);
      const lifetime = next === null ? AT_ONCE : lifetimeOf(ttlMs);
      if (version === 0) {
        if (next === null) return (await get(id)) === undefined;
        return done(client.add(key, text, { lifetime }));
      }
      const found = await client.gets(key);
      if (!found || versionOf(String(found.value)) !== version) return false;
      // Memcached has no compare-and-delete, so this stores a record that has expired already.
      return done(client.cas(key, text, { lifetime, casUniq: found.casUniq }));
    },
    destroy: async (id) => {
      await done(client.delete(keyOf(prefix, id)));
    },
  };
}

/** Refuses a key with a space or a line break: it could end the command and begin another one. */
function keyOf(prefix: string, id: string): string {
  if (/^[\x21-\x7e]{1,250}$/.test(prefix + id)) return prefix + id;
  throw new RangeError('Memcached takes keys of 1 to 250 ASCII characters without spaces');
}

function lifetimeOf(ttlMs: number | undefined): number {
  if (ttlMs === undefined) return NO_END;
  // Its clock ticks once a second, so without the extra second a record could expire too early.
  const seconds = Math.ceil(ttlMs / 1000) + 1;
  if (seconds <= LONGEST_LIFETIME) return seconds;
  const date = Math.ceil(Date.now() / 1000) + seconds;
  return date <= LAST_DATE ? date : NO_END;
}

async function done(answer: Promise<unknown>): Promise<boolean> {
  try {
    await answer;
    return true;
  } catch (error) {
    const refusals = ['NOT_STORED', 'EXISTS', 'NOT_FOUND'];
    if (error instanceof Error && refusals.includes(error.message)) return false;
    throw error;
  }
}
