import { connectRedis } from '../app/storage/redis-client.ts';
import { parseRedisUrl } from '../config/redis-url.ts';

/** The app's own Redis client, connected to a server of the test. */
export function connectTo(url: string, onError: (error: unknown) => void = () => {}) {
  return connectRedis(parseRedisUrl(url), onError);
}
