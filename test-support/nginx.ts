import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeCertificate } from './certificate.ts';
import { startChild } from './child.ts';
import { freePort } from './free-port.ts';
import { answers, type TlsProxy } from './proxy.ts';
import { recipe } from './recipe.ts';
import { tempDir } from './temp-dir.ts';

// nginx runs as a single process, so it keeps its user and leaves no worker behind.
const main = `
daemon off;
master_process off;
${process.getuid?.() === 0 ? 'user root;' : ''}
pid nginx.pid;
error_log stderr warn;
`;
const http = `
  access_log off;
  client_body_temp_path client_body_temp;
  proxy_temp_path proxy_temp;
  fastcgi_temp_path fastcgi_temp;
  uwsgi_temp_path uwsgi_temp;
  scgi_temp_path scgi_temp;
  include cloakroom.conf;
`;
const stock = '/etc/nginx/nginx.conf';
const settled =
  /^\s*(user|pid|error_log|access_log|include .*(modules-enabled|conf\.d|sites-enabled)).*;/gm;

/** Debian's nginx.conf (which turns gzip on), or a similar one, with the paths of a test. */
function mainConf(): string {
  const text = existsSync(stock)
    ? readFileSync(stock, 'utf8').replace(settled, '')
    : 'events {}\nhttp {\n  gzip on;\n}';
  return main + text.replace(/^http \{/m, `http {${http}`);
}

/**
 * nginx with `deploy/nginx/cloakroom.conf`: it terminates TLS and passes requests in turn to the
 * ports `upstreams` of 127.0.0.1.
 */
export async function startNginx(upstreams: number[], changes = {}): Promise<TlsProxy> {
  await using cleanup = new AsyncDisposableStack();
  const { path: dir } = cleanup.use(await tempDir('nginx'));
  const { caFile } = await makeCertificate(dir);
  const [port, httpPort] = [await freePort(), await freePort()];
  const [portOf6, httpPortOf6] = [await freePort(), await freePort()];
  const site = await recipe('nginx/cloakroom.conf', {
    '  server 127.0.0.1:3000;\n  server 127.0.0.1:3001;\n': upstreams
      .map((upstream) => `  server 127.0.0.1:${upstream};\n`)
      .join(''),
    'listen 80;': `listen 127.0.0.1:${httpPort};`,
    'listen [::]:80;\n  server_name shop.example.com;': `listen 127.0.0.1:${httpPortOf6};\n  server_name localhost;`,
    'https://$server_name$request_uri': `https://$server_name:${port}$request_uri`,
    'listen 443 ssl': `listen 127.0.0.1:${port} ssl`,
    'listen [::]:443 ssl http2;\n  server_name shop.example.com;': `listen 127.0.0.1:${portOf6} ssl http2;\n  server_name localhost;`,
    '/etc/ssl/cloakroom/fullchain.pem': 'cert.pem',
    '/etc/ssl/cloakroom/privkey.pem': 'key.pem',
    ...changes,
  });
  await writeFile(join(dir, 'cloakroom.conf'), site);
  await writeFile(join(dir, 'nginx.conf'), mainConf());
  const origin = `https://localhost:${port}`;
  const child = await startChild('nginx', ['-p', `${dir}/`, '-c', 'nginx.conf', '-e', 'stderr'], {
    ready: () => answers(origin),
    // Debian keeps nginx in /usr/sbin, which a normal user's PATH may lack.
    env: { PATH: `${process.env.PATH}:/usr/sbin` },
  });
  cleanup.defer(async () => void (await child.stop()));
  const running = cleanup.move();
  return {
    origin,
    httpOrigin: `http://localhost:${httpPort}`,
    caFile,
    pid: child.pid,
    stop: () => running.disposeAsync(),
  };
}
