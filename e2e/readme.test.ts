// What README.md says is true.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { it } from 'node:test';
import { startChild } from './support/child.ts';
import { freePort } from './support/free-port.ts';
import { httpClient } from './support/http-client.ts';

const root = `${resolve(import.meta.dirname, '..')}/`;
const readme = readFileSync(`${root}README.md`, 'utf8');

it('each file that the README points to is there', () => {
  const links = [...readme.matchAll(/(?:\]\(|srcset="|src=")([^)"]+)/g)].map((m) => m[1] ?? '');
  assert.ok(links.length > 20);
  for (const link of links) assert.ok(existsSync(root + link), link);
});

it('each test that the README names is there', () => {
  const rows = readme.split('\n').filter((line) => line.includes('.test.ts): “'));
  assert.equal(rows.length, 11);
  for (const row of rows)
    for (const [, file, names] of row.matchAll(/\]\(([\w/.-]+\.test\.ts)\): ([^;|]+)/g))
      for (const [, name = ''] of (names ?? '').matchAll(/“([^”]+)”/g))
        assert.ok(readFileSync(root + file, 'utf8').includes(`${name}'`), name);
});

it('the example of the README runs as it stands', async (t) => {
  const code = /```ts\n(.*?)```/s.exec(readme)?.[1] ?? '';
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const child = await startChild(
    process.execPath,
    ['--input-type=module-typescript', '--eval', code],
    { cwd: root, env: { PORT: String(port) }, ready: async () => (await fetch(origin)).ok },
  );
  t.after(() => child.stop());
  const visitor = httpClient(origin);
  assert.equal((await visitor.get('/')).text, 'Views: 1');
  assert.equal((await visitor.get('/')).text, 'Views: 2');
});
