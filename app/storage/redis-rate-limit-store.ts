import { hash } from 'node:crypto';
import type { Store } from 'express-rate-limit';
import { answersWithin } from '../session/index.ts';
import type { RedisClient } from './redis-client.ts';

const INCREMENT = `
  local hits = redis.call('INCR', KEYS[1])
  if hits == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
  return { hits, redis.call('PTTL', KEYS[1]) }`;
const DECREMENT = `
  if redis.call('GET', KEYS[1]) then redis.call('DECR', KEYS[1]) end`;

/**
 * A store for express-rate-limit. Its own Redis store loads its scripts once at start, so an app that
 * starts before Redis never recovers, and it can leave keys that never expire.
 */
export function redisRateLimitStore(redis: RedisClient, name: string, secret: string): Store {
  const ask = answersWithin(1500);
  let windowMs = 0;
  // A hash without the secret would hide no IPv4 address from somebody who tries them all.
  const keyOf = (key: string) =>
    `limit:${name}:${hash('sha256', `${secret} limit:${key}`, 'base64url')}`;
  const run = (script: string, key: string) =>
    ask(redis.eval(script, { keys: [keyOf(key)], arguments: [String(windowMs)] }));
  return {
    init: (options) => {
      windowMs = options.windowMs;
    },
    increment: async (key) => {
      const [totalHits = 0, msLeft = 0] = (await run(INCREMENT, key)) as number[];
      return { totalHits, resetTime: new Date(Date.now() + msLeft) };
    },
    decrement: async (key) => {
      // It runs after the answer, so nobody could see an error. Counting one hit too many is safe.
      await run(DECREMENT, key).catch(() => {});
    },
    resetKey: async (key) => {
      await ask(redis.del([keyOf(key)]));
    },
  };
}
