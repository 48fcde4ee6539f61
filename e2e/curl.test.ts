// What docs/curl.md says is true, and it says it of every route.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { it } from 'node:test';
import { healthRoutes, sitemap } from '../app/routes.ts';
import { startServer } from '../test-support/start-server.ts';

const text = readFileSync(resolve(import.meta.dirname, '../docs/curl.md'), 'utf8');
const lines = [...text.matchAll(/```sh\n(.*?)```/gs)].flatMap((m) =>
  (m[1] ?? '').trim().split('\n'),
);

it('each command of docs/curl.md answers JSON with the status it names', async (t) => {
  const server = await startServer({});
  t.after(server.stop);
  const folder = mkdtempSync(join(tmpdir(), 'cloakroom-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const script = lines.map((line) =>
    line
      .replace('localhost:3000', server.origin.replace('http://', ''))
      .replace(/ # \d+$/, " -w '\\n%{http_code} %{content_type}\\n'"),
  );
  const { stdout } = spawnSync('sh', { cwd: folder, encoding: 'utf8', input: script.join('\n') });
  const expected = lines.filter((line) => line.startsWith('curl '));
  const answers = stdout.trim().split('\n');
  assert.equal(answers.length, 2 * expected.length, stdout);
  for (const [n, line] of expected.entries()) {
    const [, status] = / # (\d+)$/.exec(line) ?? [];
    const answer = `${answers[2 * n + 1]} after ${line}: ${answers[2 * n]}`;
    assert.ok(answer.startsWith(`${status} application/json; charset=utf-8 `), answer);
    JSON.parse(answers[2 * n] ?? '');
  }
});

it('docs/curl.md has a command for every route', () => {
  const anything: never = new Proxy(() => {}, { get: () => anything }) as never;
  const routes = [...healthRoutes(anything), ...sitemap(anything, anything)];
  assert.ok(routes.length > 25);
  for (const [verb, path] of routes) {
    const url = new RegExp(`localhost:3000${path.replace(/:\w+/g, '[^/ ]+')} #`);
    const isPost = /--json|-X POST/;
    const found = lines.some((line) => url.test(line) && isPost.test(line) === (verb === 'post'));
    assert.ok(found, `${verb} ${path}`);
  }
});
