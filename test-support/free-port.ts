import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

const given = new Set<number>();

/**
 * A port that is free on 127.0.0.1, never the same one twice in this process. It lies below those that
 * Linux, macOS and Windows give to outgoing connections: one of these could take it before the server.
 */
export async function freePort(): Promise<number> {
  const port = randomInt(15_000, 32_768);
  if (given.has(port)) return freePort();
  given.add(port);
  try {
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    server.close();
    await once(server, 'close');
    return port;
  } catch {
    return freePort(); // in use
  }
}
