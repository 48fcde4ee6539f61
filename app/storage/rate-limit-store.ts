import { hash } from 'node:crypto';
import type { Store } from 'express-rate-limit';
import { answersWithin, type Backend, compareAndSetLoop } from '../session/index.ts';
import type { RedisClient } from './redis-client.ts';

type Count = { hits: number; msLeft: number };
/** Counts hits under keys. The first hit of a key decides how long its count lives. */
export type Counters = {
  /** @returns the count and the time it has left; 0 hits if there was nothing to subtract from */
  add(key: string, by: 1 | -1, windowMs: number): Promise<Count>;
  reset(key: string): Promise<unknown>;
};

/**
 * A store for express-rate-limit. Its own Redis store loads its scripts once at start, so an app that
 * starts before Redis never recovers, and it can leave keys that never expire.
 */
export function rateLimitStore(counters: Counters, name: string, secret: string): Store {
  const ask = answersWithin(1500);
  let windowMs = 0;
  // Without the secret in it, anyone could hash all IPv4 addresses and compare.
  const keyOf = (key: string) => `${name}:${hash('sha256', `${secret} limit:${key}`, 'base64url')}`;
  return {
    init: (options) => {
      windowMs = options.windowMs;
    },
    increment: async (key) => {
      const { hits, msLeft } = await ask(counters.add(keyOf(key), 1, windowMs));
      return { totalHits: hits, resetTime: new Date(Date.now() + msLeft) };
    },
    decrement: async (key) => {
      // It runs after the response, so nobody could see an error. Counting one hit too many is safe.
      await ask(counters.add(keyOf(key), -1, windowMs)).catch(() => {});
    },
    resetKey: async (key) => {
      await ask(counters.reset(keyOf(key)));
    },
  };
}

const ADD = `
  if ARGV[1] == 'DECR' and not redis.call('GET', KEYS[1]) then return { 0, 0 } end
  local hits = redis.call(ARGV[1], KEYS[1])
  if hits == 1 and ARGV[1] == 'INCR' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
  return { hits, redis.call('PTTL', KEYS[1]) }`;

export const redisCounters = (redis: RedisClient): Counters => ({
  add: async (key, by, windowMs) => {
    const command = by === 1 ? 'INCR' : 'DECR';
    const options = { keys: [`limit:${key}`], arguments: [command, String(windowMs)] };
    const [hits = 0, msLeft = 0] = (await redis.eval(ADD, options)) as number[];
    return { hits, msLeft };
  },
  reset: (key) => redis.del([`limit:${key}`]),
});

/** In any store that keeps records. */
export function recordCounters(backend: Backend): Counters {
  type Counter = { version: number; hits: number; until: number };
  const read = async (key: string): Promise<Counter | undefined> => {
    const text = await backend.get(key);
    return text === undefined ? undefined : JSON.parse(text);
  };
  const msLeft = ({ until }: Counter) => Math.max(1, until - Date.now());
  const commit = compareAndSetLoop<Counter>({ ...backend, get: read }, msLeft);
  return {
    add: async (key, by, windowMs) => {
      const counter = await commit(key, await read(key), (current) => {
        const { version = 0, hits = 0, until = Date.now() + windowMs } = current ?? {};
        return { version: version + 1, hits: Math.max(0, hits + by), until };
      });
      return { hits: counter.hits, msLeft: msLeft(counter) };
    },
    reset: (key) => backend.destroy(key),
  };
}
