import { RedisStore } from 'connect-redis';
import { MemoryStore } from 'express-session';
import { parseSession, type SessionRecord } from '../record.ts';

/**
 * The store switch: what a place that keeps records has to do. A record is JSON with a field
 * `version`. The contract, which `session-contract.test.ts` holds against memory, Redis, Redis Cluster
 * and Sentinel:
 *
 * - `get` returns the record kept under the key, or undefined when there is none. A session that is
 *   unreadable is none.
 * - `compareAndSet` stores `next` under the key, or deletes the key when `next` is null, if and only if
 *   the stored version is `version`; version 0 means that the key must not exist. It returns whether it
 *   did. Nothing can come between comparing and setting. After `ttlMs` milliseconds, more than none, the
 *   key is gone by itself; undefined: it stays for good.
 * - `destroy` deletes the key, whatever its version. Deleting what is not there is no error.
 * - All reject when the store cannot answer; whether a write took place is then unknown.
 */
export type Backend<R extends Versioned> = {
  get(key: string): Promise<R | undefined>;
  compareAndSet(key: string, version: number, next: R | null, ttlMs?: number): Promise<boolean>;
  destroy(key: string): Promise<void>;
};

export type Versioned = { readonly version: number };
export type SessionBackend = Backend<SessionRecord>;

/** The part of node-redis used here: a client, a cluster or a sentinel. */
export type RedisCommands = {
  get(key: string): Promise<string | null>;
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  del(keys: string[]): Promise<unknown>;
};

/** Sessions in this process's memory: for development and tests, gone with the process. */
export const memoryBackend = (store?: MemoryStore): SessionBackend => inMemory(parseSession, store);

/** Sessions in Redis, under `sess:`, each gone from there by itself when it has expired. */
export const redisBackend = (client: RedisCommands): SessionBackend =>
  inRedis(parseSession, client, 'sess:');

/** Beyond this, 24 days, a timer of Node fires at once. In memory nothing is kept for longer. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** @param parse reads the text of a record; undefined: it is to be taken for none */
export function inMemory<R extends Versioned>(
  parse: (text: string) => R | undefined,
  store = new MemoryStore(),
): Backend<R> {
  const memory = store as MemoryStore & { sessions: Record<string, string> };
  const versionOf = (text: string | undefined) => {
    try {
      return text === undefined ? 0 : JSON.parse(text)?.version;
    } catch {
      return undefined;
    }
  };
  // MemoryStore never drops a session whose cookie has no maxAge, so it is dropped here. A touch
  // pushes the timer back.
  const timers = new Map<string, NodeJS.Timeout>();
  const remove = (key: string) => {
    clearTimeout(timers.get(key));
    timers.delete(key);
    memory.destroy(key);
  };

  return {
    get: async (key) => {
      const text = memory.sessions[key];
      return text === undefined ? undefined : parse(text);
    },
    // Atomic because nothing in it waits: MemoryStore reads and writes at once, only its callbacks
    // come later.
    compareAndSet: async (key, version, next, ttlMs) => {
      if (versionOf(memory.sessions[key]) !== version) return false;
      remove(key);
      if (next === null) return true;
      memory.sessions[key] = JSON.stringify(next);
      if (ttlMs !== undefined)
        timers.set(key, setTimeout(remove, Math.min(ttlMs, LONGEST_TIMER_MS), key).unref());
      return true;
    },
    destroy: async (key) => remove(key),
  };
}

// KEYS[1] the key; ARGV[1] the version that must be there, 0: none; ARGV[2] the new text, empty to
// delete; ARGV[3] the time to live in milliseconds, empty: without end. One key, so it runs on a
// cluster unchanged.
const COMPARE_AND_SET = `
  local text = redis.call('GET', KEYS[1])
  local version = 0
  if text then
    local ok, record = pcall(cjson.decode, text)
    version = ok and type(record) == 'table' and record.version or -1
  end
  if version ~= tonumber(ARGV[1]) then return 0 end
  if ARGV[2] == '' then
    redis.call('DEL', KEYS[1])
  elseif ARGV[3] == '' then
    redis.call('SET', KEYS[1], ARGV[2])
  else
    redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  end
  return 1`;

/** @param parse as of `inMemory` */
export function inRedis<R extends Versioned>(
  parse: (text: string) => R | undefined,
  client: RedisCommands,
  prefix: string,
): Backend<R> {
  const redis = new RedisStore({
    client,
    prefix,
    serializer: { parse: (text) => parse(text) as never, stringify: JSON.stringify },
  });
  return {
    get: async (key) => ((await redis.get(key)) as R | null | undefined) ?? undefined,
    compareAndSet: async (key, version, next, ttlMs) => {
      const text = next === null ? '' : JSON.stringify(next);
      const ttl = ttlMs === undefined ? '' : String(Math.ceil(ttlMs));
      const options = { keys: [prefix + key], arguments: [String(version), text, ttl] };
      return (await client.eval(COMPARE_AND_SET, options)) === 1;
    },
    destroy: async (key) => {
      await redis.destroy(key);
    },
  };
}
