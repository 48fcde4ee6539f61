import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startChild } from './child.ts';
import { freePort } from './free-port.ts';
import { answers, type TlsProxy } from './proxy.ts';
import { recipe } from './recipe.ts';
import { tempDir } from './temp-dir.ts';

/**
 * Caddy with `deploy/caddy/Caddyfile`, or with that of `deploy/docker/` and one process. It makes
 * its own certificate for localhost, without the network.
 * @param edit changes the file further
 */
export async function startCaddy(
  upstreams: number[],
  file = 'caddy/Caddyfile',
  edit = (site: string) => site,
): Promise<TlsProxy> {
  await using cleanup = new AsyncDisposableStack();
  const { path: dir } = cleanup.use(await tempDir('caddy'));
  const [port, httpPort] = [await freePort(), await freePort()];
  const site = await recipe(
    file,
    file === 'caddy/Caddyfile'
      ? {
          'shop.example.com {': 'localhost {',
          '127.0.0.1:3000 127.0.0.1:3001': upstreams.map((n) => `127.0.0.1:${n}`).join(' '),
        }
      : { 'dynamic a app 3000': `dynamic a localhost ${upstreams[0]}` },
  );
  const options = `
    admin off
    skip_install_trust
    default_bind 127.0.0.1
    http_port ${httpPort}
    https_port ${port}
    storage file_system ${dir}
  `;
  await writeFile(join(dir, 'Caddyfile'), edit(site).replace(/^\{\n/m, `{\n${options}`));
  const origin = `https://localhost:${port}`;
  const args = ['run', '--config', join(dir, 'Caddyfile'), '--adapter', 'caddyfile'];
  const child = await startChild('caddy', args, {
    ready: () => answers(origin),
    env: { SITE: 'localhost', HOME: dir, XDG_CONFIG_HOME: dir, XDG_DATA_HOME: dir },
  });
  cleanup.defer(async () => void (await child.stop()));
  const running = cleanup.move();
  return {
    origin,
    httpOrigin: `http://localhost:${httpPort}`,
    caFile: join(dir, 'pki/authorities/local/root.crt'),
    pid: child.pid,
    stop: () => running.disposeAsync(),
  };
}

/** Caddy with only the two lines that name the site and the app. */
export const startBriefCaddy = (upstreams: number[]): Promise<TlsProxy> =>
  startCaddy(upstreams, 'caddy/Caddyfile', (site) => {
    const [, address, proxy] = /^(localhost) \{\n(\treverse_proxy .*) \{$/m.exec(site) ?? [];
    return `{\n}\n${address} {\n${proxy}\n}\n`;
  });
