import { RedisStore } from 'connect-redis';
import type { Backend, Versioned } from './backend.ts';
import { hasMethods, requireAll } from './require.ts';

/** The part of node-redis used here: a client, a cluster or a sentinel. */
export type RedisCommands = {
  get(key: string): Promise<string | null>;
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  del(keys: string[]): Promise<unknown>;
};

// KEYS[1] the key; ARGV[1] the version that must be stored, 0 for none; ARGV[2] the new text, empty to
// delete; ARGV[3] the time to live in milliseconds, empty if it never expires. It touches one key, so it runs
// unchanged on Redis Cluster. Text that `textOf` did not write is decoded, which takes twice as long.
// The gsub is for half an emoji, which JSON writes as \ud83d: cjson would refuse the whole text.
const COMPARE_AND_SET = String.raw`
local text = redis.call('GET', KEYS[1])
local version = text and tonumber(string.match(text, '^{"version":(%d+),.*}$')) or 0
if text and version == 0 then
  local ok, record = pcall(cjson.decode, (string.gsub(text, '\\ud', '\\u0')))
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

/** The version comes first, where the script finds it without decoding the rest. */
const textOf = ({ version, ...fields }: Versioned) => JSON.stringify({ version, ...fields });

/** Keeps records in Redis, under keys that start with `prefix`. Redis deletes them when they expire. */
export function redisBackend(client: RedisCommands, prefix = 'sess:'): Backend {
  requireAll([
    hasMethods(client, 'get', 'eval', 'del') && !hasMethods(client, 'defineCommand'),
    'redisBackend takes a client of node-redis, from createClient, createCluster or createSentinel, not of ioredis',
  ]);
  const asText = { parse: (text: string) => text as never, stringify: JSON.stringify };
  const redis = new RedisStore({ client, prefix, serializer: asText });
  return {
    get: async (key) => ((await redis.get(key)) as string | null | undefined) ?? undefined,
    compareAndSet: async (key, version, next, ttlMs) => {
      const text = next === null ? '' : textOf(next);
      const ttl = ttlMs === undefined ? '' : String(Math.ceil(ttlMs));
      const options = { keys: [prefix + key], arguments: [String(version), text, ttl] };
      return (await client.eval(COMPARE_AND_SET, options)) === 1;
    },
    destroy: async (key) => {
      await redis.destroy(key);
    },
  };
}
