import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export type Relay = {
  port: number;
  /**
   * From now on, drops everything sent over the existing connections and tells neither end. With
   * `from`, drops only what is sent over the connection that reaches the server from that port.
   */
  silence: (from?: number) => void;
  stop: () => Promise<void>;
};

/**
 * A relay to a port on this machine. It can fall silent, like a dead host or a NAT that has dropped
 * the connection.
 */
export async function startRelay(to: number): Promise<Relay> {
  /** Visitor's socket -> server's socket, for each open connection. */
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
