import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';

export type Listening = { origin: string; port: number; close(): Promise<void> };

/** Serves on a free port of 127.0.0.1, through TLS if there is a certificate. */
export async function listen(app: RequestListener, tls?: ServerOptions): Promise<Listening> {
  const server = tls ? createTlsServer(tls, app) : createServer(app);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    origin: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    port,
    close: async () => {
      if (!server.listening) return;
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
