import { startChild } from './child.ts';
import { freePort } from './free-port.ts';
import { refuses } from './refuses-connections.ts';
import { runServer, type StoreServer } from './running-server.ts';

export async function startMemcached(...args: string[]): Promise<StoreServer> {
  const port = await freePort();
  const address = ['--listen=127.0.0.1', `--port=${port}`, '--udp-port=0'];
  const root = process.getuid?.() === 0 ? ['--user=nobody'] : [];
  const start = () =>
    startChild('memcached', [...address, ...root, ...args], {
      ready: async () => !(await refuses(port)),
      name: `memcached on ${port}`,
    });
  return { ...(await runServer(start)), url: `memcached://127.0.0.1:${port}` };
}
