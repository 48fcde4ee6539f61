import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { it, type TestContext } from 'node:test';
import { until } from '../../test-support/until.ts';
import { createHttpServer } from './http-server.ts';

const MEGABYTE = 2 ** 20;
const large = Buffer.alloc(20 * MEGABYTE, 'x');

/** Connections to a server whose responses fit into no buffer of the system. */
async function connectTo(t: TestContext, stallMs: number, clients: number) {
  const server = createHttpServer((req, res) => req.resume().on('end', () => res.end(large)), {
    stallMs,
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sockets = Array.from({ length: clients }, () => {
    const { port } = server.address() as AddressInfo;
    return connect(port, '127.0.0.1')
      .pause()
      .on('error', () => {}); // cut off
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const open = () =>
    new Promise<number>((resolve) => server.getConnections((_, count) => resolve(count)));
  return { server, sockets, open };
}

const ask = (socket: Socket) => socket.write('GET / HTTP/1.1\r\nHost: shop\r\n\r\n'.repeat(3));

it('clients that never read their responses are cut off', async (t) => {
  const { sockets, open } = await connectTo(t, 1000, 20);
  sockets.forEach(ask);
  await until(async () => (await open()) === 20, 'all are connected');
  await until(async () => (await open()) === 0, 'all are cut off');
});

it('a client that reads slowly gets its whole response', async (t) => {
  const { sockets } = await connectTo(t, 2000, 1);
  const [socket] = sockets as [Socket];
  let bytes = 0;
  socket.on('data', (data) => {
    bytes += data.length;
    if (bytes > 10 * MEGABYTE) return;
    socket.pause();
    setTimeout(() => socket.resume(), 20);
  });
  const started = performance.now();
  ask(socket);
  socket.resume();
  await until(async () => bytes > 3 * large.length, 'all responses have arrived');
  assert.ok(performance.now() - started > 2000, 'it read for longer than a stall may last');
});

it('a client that sends its request too slowly gets 408, and its connection is closed', async (t) => {
  const { server, sockets } = await connectTo(t, 60_000, 2);
  assert.deepEqual([server.headersTimeout, server.requestTimeout], [5_000, 10_000]);
  Object.assign(server, { headersTimeout: 100, requestTimeout: 200 });
  const [head, body] = sockets as [Socket, Socket];
  head.write('GET / HTTP/1.1\r\nHost: shop\r\nX-Slow:');
  body.write('POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 99\r\n\r\n{');
  const started = performance.now();
  for (const response of await Promise.all(sockets.map((socket) => text(socket))))
    assert.match(response, /^HTTP\/1\.1 408 /);
  const ms = performance.now() - started;
  assert.ok(ms < 15_000, `${ms} ms`); // without its own interval, Node.js looks every 30 s
});
