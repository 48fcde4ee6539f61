import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * A port that is free on 127.0.0.1, and given to no other test process while this one runs. It lies below
 * those that Linux, macOS and Windows give to outgoing connections: one of these could take it before the
 * server.
 */
export async function freePort(): Promise<number> {
  const port = randomInt(15_000, 32_768);
  try {
    // Claims the number until this process ends. Not at the same number: Caddy serves HTTP/3 on its.
    const claim = createSocket('udp4').unref();
    claim.bind({ port: port + 32_767, address: '127.0.0.1', exclusive: true });
    await once(claim, 'listening');
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    server.close();
    await once(server, 'close');
    return port;
  } catch {
    return freePort(); // in use
  }
}
