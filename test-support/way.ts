import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export type Way = {
  port: number;
  /**
   * Loses from now on what is sent over the connections made so far, and tells neither end; or over
   * that one alone which the server sees come from the port `from`.
   */
  silence: (from?: number) => void;
  stop: () => Promise<void>;
};

/** A way to a port of this machine that can fall silent, as a dead host or a forgetful NAT does. */
export async function startWay(to: number): Promise<Way> {
  /** The server's end of each connection, by the visitor's. */
  const open = new Map<Socket, Socket>();
  const silent = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(to, '127.0.0.1');
    open.set(near, far);
    near.on('data', (data) => silent.has(near) || far.write(data)).on('error', () => {});
    far.on('data', (data) => silent.has(near) || near.write(data)).on('error', () => {});
    far.on('close', () => near.destroy());
    near.on('close', () => {
      far.destroy();
      open.delete(near);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    silence: (from) => {
      for (const [near, far] of open)
        if (from === undefined || far.localPort === from) silent.add(near);
    },
    stop: async () => {
      server.close();
      for (const near of open.keys()) near.destroy();
    },
  };
}
