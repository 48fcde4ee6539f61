// What README.md says is true.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  globSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { it } from 'node:test';
import { startChild } from '../test-support/child.ts';
import { freePort } from '../test-support/free-port.ts';
import { httpClient } from '../test-support/http-client.ts';
import { startServer } from '../test-support/start-server.ts';

const root = `${resolve(import.meta.dirname, '..')}/`;
const readme = readFileSync(`${root}README.md`, 'utf8');

it('each file that the README points to is there', () => {
  const links = [...readme.matchAll(/(?:\]\(|srcset="|src=")([^)"]+)/g)].map((m) => m[1] ?? '');
  assert.ok(links.length > 20);
  for (const link of links) assert.ok(existsSync(root + link), link);
});

it('each test that the README names is there', () => {
  const rows = readme.split('\n').filter((line) => /^\| .*\.test\.ts\)/.test(line));
  assert.equal(rows.length, 12);
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
  const guest = visitor.cookie;
  assert.equal((await visitor.post('/login')).status, 303);
  assert.notEqual(visitor.cookie, guest);
  assert.equal((await visitor.get('/')).text, 'Views: 3');
  assert.equal((await visitor.post('/logout')).status, 303);
  assert.equal((await visitor.get('/')).text, 'Views: 1');
});

it('each curl command of the README answers JSON with 200', async (t) => {
  const server = await startServer({});
  t.after(server.stop);
  const folder = mkdtempSync(join(tmpdir(), 'cloakroom-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const commands = readme.split('\n').filter((line) => line.startsWith('curl '));
  assert.equal(commands.length, 4);
  for (const command of commands) {
    const there = command.replace('localhost:3000', server.origin.replace('http://', ''));
    const { stdout } = spawnSync('sh', ['-c', `${there} -w '\\n%{http_code}'`], {
      cwd: folder,
      encoding: 'utf8',
    });
    const [body = '', status] = stdout.split('\n');
    assert.equal(status, '200', command);
    JSON.parse(body);
  }
});

it('the examples of the README compile with the options that it names', (t) => {
  const folder = mkdtempSync(join(root, 'e2e', 'examples-'));
  t.after(() => rmSync(folder, { recursive: true }));
  cpSync(join(root, 'app/session'), join(folder, 'app/session'), { recursive: true });
  for (const test of globSync('**/*.test.ts', { cwd: folder })) rmSync(join(folder, test));
  const examples = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(([, code = '']) => code);
  assert.equal(examples.length, 2);
  for (const [n, code] of examples.entries()) writeFileSync(join(folder, `${n}.ts`), code);
  const [named = ''] = /^.*`tsc` needs .*$/m.exec(readme) ?? [];
  const options = [...named.matchAll(/`("\w+": [^`]+)`/g)].map(([, option]) => option);
  writeFileSync(join(folder, 'tsconfig.json'), `{ "compilerOptions": { ${options.join()} } }`);
  const tsc = join(root, 'node_modules/.bin/tsc');
  const { status, stdout } = spawnSync(tsc, ['--project', folder], { encoding: 'utf8' });
  assert.equal(status, 0, stdout);
});

it('the session module compiles on its own, with other fields than this shop has', (t) => {
  const folder = mkdtempSync(join(root, 'e2e', 'lifted-'));
  t.after(() => rmSync(folder, { recursive: true }));
  cpSync(join(root, 'app/session'), folder, { recursive: true });
  for (const test of globSync('*.test.ts', { cwd: folder })) rmSync(join(folder, test));
  const file = join(folder, 'session-data.ts');
  const data = readFileSync(file, 'utf8')
    .replace(
      /const sessionData = z\.object\(\{.*?\n\}\);/s,
      'const sessionData = z.object({ theme: z.string() });',
    )
    .replace(/export type SessionUser.*\n/, '')
    .replace(
      /\(\{ lost = false \} = \{\}\): SessionDraft => \(\{.*?\n\}\);/s,
      "(_: object = {}): SessionDraft => ({ theme: 'light' });",
    );
  assert.match(data, /theme: 'light'/);
  writeFileSync(file, data);
  const tsconfig = { extends: '../../tsconfig.json', include: ['*.ts'] };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(tsconfig));
  const tsc = join(root, 'node_modules/.bin/tsc');
  const { status, stdout } = spawnSync(tsc, ['--project', folder], { encoding: 'utf8' });
  assert.equal(status, 0, stdout);
});
