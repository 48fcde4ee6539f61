import { once } from 'node:events';
import { createServer } from 'node:net';

const given = new Set<number>();

/** A port that is free on 127.0.0.1, never the same one twice in this process. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string' || given.has(address.port)) return freePort();
  given.add(address.port);
  return address.port;
}
