// Checks that the commands of docs/curl.md work as it says, and that it covers every route.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { it } from 'node:test';
import { healthRoutes, sitemap, streamRoutes } from '../app/routes.ts';
import { startServer } from '../test-support/start-server.ts';

const text = readFileSync(resolve(import.meta.dirname, '../docs/curl.md'), 'utf8');
// A block returns 200, or with the status at the end of the line above it.
const blocks = [...text.matchAll(/(?:: (\d{3})\.)?\n\n```sh\n(.*?)```/gs)].map(
  ([, status = '200', code = '']) => ({ status, lines: code.trim().split('\n') }),
);
const lines = blocks.flatMap((block) => block.lines);

it('each command of docs/curl.md gets JSON and the status that the page names', async (t) => {
  const server = await startServer({});
  t.after(server.stop);
  const folder = mkdtempSync(join(tmpdir(), 'cloakroom-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const script = lines
    .join('\n')
    .replaceAll('localhost:3000', server.origin.replace('http://', ''))
    .replaceAll(/^curl .*/gm, "$& -w '\\n%{http_code} %{content_type}\\n'");
  const { stdout } = spawnSync('sh', { cwd: folder, encoding: 'utf8', input: script });
  const responses = stdout.trim().split('\n');
  const expected = blocks.flatMap((block) =>
    block.lines.filter((line) => line.startsWith('curl ')).map((line) => [line, block.status]),
  );
  assert.equal(responses.length, 2 * expected.length, stdout);
  for (const [n, [line, status]] of expected.entries()) {
    const response = `${responses[2 * n + 1]} after ${line}: ${responses[2 * n]}`;
    assert.ok(response.startsWith(`${status} application/json; charset=utf-8 `), response);
    JSON.parse(responses[2 * n] ?? '');
  }
});

it('docs/curl.md has a command for every route', () => {
  const anything: never = new Proxy(() => {}, { get: () => anything }) as never;
  const routes = [
    ...healthRoutes(anything),
    ...streamRoutes(anything),
    ...sitemap(anything, anything, anything),
  ];
  assert.ok(routes.length > 25);
  for (const [verb, path] of routes) {
    const url = new RegExp(
      `localhost:3000${path.replace(/:\w+/g, '[^/ ]+').replace(/\*\w+/, '.+')}$`,
    );
    const isPost = /--json|-X POST/;
    const found = lines.some((line) => url.test(line) && isPost.test(line) === (verb === 'post'));
    assert.ok(found, `${verb} ${path}`);
  }
});
