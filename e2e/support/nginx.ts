import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import { makeCertificate } from './certificate.ts';
import { startChild } from './child.ts';
import { freePort } from './free-port.ts';
import { tempDir } from './temp-dir.ts';

type Nginx = {
  origin: string;
  /** Answers 308 to the same path at `origin`. */
  httpOrigin: string;
  caFile: string;
  stop: () => Promise<void>;
};

// One process without a master: it keeps its user, and no worker can outlive it.
function configuration(port: number, httpPort: number, upstreams: number[]): string {
  return `
daemon off;
master_process off;
${process.getuid?.() === 0 ? 'user root;' : ''}
pid nginx.pid;
error_log stderr warn;
events {}
http {
  access_log off;
  server_tokens off;
  client_body_temp_path client_body_temp;
  proxy_temp_path proxy_temp;
  fastcgi_temp_path fastcgi_temp;
  uwsgi_temp_path uwsgi_temp;
  scgi_temp_path scgi_temp;

  upstream app {
    ${upstreams.map((upstream) => `server 127.0.0.1:${upstream};`).join('\n    ')}
    keepalive 16;
    # Less than the second in which a worker that drains leaves idle connections open: a POST sent on
    # one that the app closes at that moment gets 502, for nginx does not send it again.
    keepalive_timeout 500ms;
  }
  server {
    listen 127.0.0.1:${httpPort};
    return 308 https://$host:${port}$request_uri;
  }
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate cert.pem;
    ssl_certificate_key key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
    }
  }
}
`;
}

/** nginx that ends TLS and passes requests to the ports `upstreams` of 127.0.0.1 in turn. */
export async function startNginx({ upstreams }: { upstreams: number[] }): Promise<Nginx> {
  await using cleanup = new AsyncDisposableStack();
  const { path: dir } = cleanup.use(await tempDir('nginx'));
  const { caFile } = await makeCertificate(dir);
  const [port, httpPort] = [await freePort(), await freePort()];
  await writeFile(join(dir, 'nginx.conf'), configuration(port, httpPort, upstreams));
  const isReady = async () => {
    const [response] = await once(get({ host: '127.0.0.1', port: httpPort }), 'response');
    response.resume();
    return response.statusCode === 308;
  };
  const child = await startChild('nginx', ['-p', `${dir}/`, '-c', 'nginx.conf', '-e', 'stderr'], {
    ready: isReady,
    // Debian keeps nginx in /usr/sbin, which a normal user's PATH may lack.
    env: { PATH: `${process.env.PATH}:/usr/sbin` },
  });
  cleanup.defer(async () => {
    await child.stop();
  });
  const running = cleanup.move();
  return {
    origin: `https://localhost:${port}`,
    httpOrigin: `http://localhost:${httpPort}`,
    caFile,
    stop: () => running.disposeAsync(),
  };
}
