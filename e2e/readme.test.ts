// Checks that README.md and docs/ are true.
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
import { dirname, join, resolve } from 'node:path';
import { it, type TestContext } from 'node:test';
import { startChild } from '../test-support/child.ts';
import { freePort } from '../test-support/free-port.ts';
import { httpClient } from '../test-support/http-client.ts';
import { startServer } from '../test-support/start-server.ts';

const root = resolve(import.meta.dirname, '..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const readme = read('README.md');
const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...globSync('docs/*.md', { cwd: root }),
];
const codeBlocks = (text: string, language = '\\w*') =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(
    ([, code = '']) => code,
  );

it('every link in the README and docs leads to an existing file, and every anchor to a heading in it', () => {
  const anchors = (file: string) =>
    [...read(file).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    );
  let links = 0;
  for (const page of pages)
    for (const [, link = ''] of read(page).matchAll(/(?:\]\(|srcset="|src=")([^)"]+)/g)) {
      if (link.startsWith('https://')) continue;
      const [path = '', anchor] = link.split('#');
      const file = path ? join(dirname(page), path) : page;
      assert.ok(existsSync(join(root, file)), `${page} links to ${link}`);
      if (anchor) assert.ok(anchors(file).includes(anchor), `${page} links to ${link}`);
      links += 1;
    }
  assert.ok(links > 60);
});

it('no code block in README and docs has a comment: zsh would run it', () => {
  for (const page of pages)
    for (const code of codeBlocks(read(page)))
      assert.doesNotMatch(code, /(^|\s)(#|\/\/|\/\*)/, `${page}:\n${code}`);
});

it('the README has at most 900 words, and gives the length of the session module to within 15 %', () => {
  assert.ok(readme.split(/\s+/).length <= 900);
  const files = globSync('app/session/*.ts', { cwd: root });
  const lines = files.reduce((sum, file) => sum + read(file).split('\n').length - 1, 0);
  const [, said = ''] = /about ([\d,]+) lines/.exec(readme) ?? [];
  const about = Number(said.replace(',', ''));
  assert.ok(Math.abs(lines - about) <= 0.15 * about, `${lines} lines`);
});

it('the session module has no tests in it, and names nothing of the shop', () => {
  for (const file of globSync('app/session/**/*.ts', { cwd: root })) {
    assert.doesNotMatch(file, /\.test\.ts$/);
    assert.doesNotMatch(read(file), /\b(tickets?|coats?|carts?|guests?|flash|shop|sku)\b/i, file);
  }
});

it('each row of the README’s table links to a test file, and each ✔ has a test in tutorials.test.ts', () => {
  const testsIn = (file: string) => read(file).match(/^ *(it|test)\(/gm)?.length ?? 0;
  const rows = readme
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(1);
  assert.equal(rows.length, 13);
  for (const row of rows) {
    const files = [...row.matchAll(/\]\((\S+\.test\.ts)\)/g)].map(([, file = '']) => file);
    assert.ok(files.length > 0 && files.every(testsIn), row);
  }
  const marked = rows.filter((row) => row.includes('✔'));
  assert.equal(marked.length, testsIn('e2e/tutorials.test.ts'));
});

it('the README’s example runs unchanged', async (t) => {
  const [code = ''] = codeBlocks(readme, 'ts');
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const child = await startChild(
    process.execPath,
    ['--input-type=module-typescript', '--eval', code],
    {
      cwd: join(root, 'app'),
      env: { PORT: String(port) },
      ready: async () => (await fetch(origin)).ok,
    },
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

it('each curl command of the README gets 200 and JSON', async (t) => {
  const server = await startServer({});
  t.after(server.stop);
  const folder = mkdtempSync(join(tmpdir(), 'cloakroom-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const commands = readme.split('\n').filter((line) => line.startsWith('curl '));
  assert.equal(commands.length, 2);
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

const usesDropIn = (code: string) => code.includes('dropIn');

it('the examples compile with the options that the docs name', (t) => {
  const folder = mkdtempSync(join(root, 'e2e', 'lifted-'));
  t.after(() => rmSync(folder, { recursive: true }));
  cpSync(join(root, 'app/session'), join(folder, 'session'), { recursive: true });
  const page = read('docs/session-module.md');
  const ofMoving = codeBlocks(read('docs/migrate.md'), 'ts').filter((code) => !usesDropIn(code));
  const others = read('docs/log-in.md') + read('docs/device-bound.md');
  const examples = [...codeBlocks(readme + page + others, 'ts'), ...ofMoving];
  assert.equal(examples.length, 11);
  for (const [n, code] of examples.entries()) writeFileSync(join(folder, `${n}.ts`), code);
  const [named = ''] = /^.*`tsc` needs .*$/m.exec(page) ?? [];
  const options = [...named.matchAll(/`("\w+": [^`]+)`/g)].map(([, option]) => option);
  writeFileSync(join(folder, 'tsconfig.json'), `{ "compilerOptions": { ${options.join()} } }`);
  const tsc = join(root, 'node_modules/.bin/tsc');
  const { status, stdout } = spawnSync(tsc, ['--project', folder], { encoding: 'utf8' });
  assert.equal(status, 0, stdout);
});

/** Type-checks a folder with this project's compiler options, for older targets, and with `more`. */
function typeCheck(folder: string, more: object = {}): void {
  const compilerOptions = { target: 'es2022', lib: ['es2022'], ...more };
  const tsconfig = { extends: '../../tsconfig.json', compilerOptions, include: ['**/*.ts'] };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(tsconfig));
  const tsc = join(root, 'node_modules/.bin/tsc');
  const { status, stdout } = spawnSync(tsc, ['--project', folder], { encoding: 'utf8' });
  assert.equal(status, 0, stdout);
}

function emptyFolder(t: TestContext): string {
  const folder = mkdtempSync(join(root, 'e2e', 'lifted-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

it('each option that the docs name exists', () => {
  const names =
    'lifecycle middleware device-bound record open-sessions drop-in-store stores/guarded';
  const sources = names.split(' ');
  const source = sources.map((name) => read(`app/session/${name}.ts`)).join();
  let options = 0;
  for (const page of pages)
    for (const [, table = ''] of read(page).matchAll(/^\| Option .*\n\|[-|]+\n((?:\|.*\n)+)/gm))
      for (const [, name] of table.matchAll(/^\| `(\w+)` /gm)) {
        assert.match(source, new RegExp(`[ {]${name}\\??: `), `${page}: ${name}`);
        options += 1;
      }
  assert.ok(options >= 16);
});

it('the session module compiles on its own, with fields other than this shop’s', (t) => {
  const folder = emptyFolder(t);
  cpSync(join(root, 'app/session'), folder, { recursive: true });
  writeFileSync(
    join(folder, 'fields.ts'),
    `import { z } from 'zod';
     export const sessionFields = z.object({ theme: z.string().default('light') });
     export const newSession = () => sessionFields.parse({});`,
  );
  typeCheck(folder, { noPropertyAccessFromIndexSignature: true });
});

it('an app that adds a field which is always there must pass its fields to sessionMiddleware', (t) => {
  const folder = emptyFolder(t);
  cpSync(join(root, 'app/session'), join(folder, 'session'), { recursive: true });
  writeFileSync(
    join(folder, 'app.ts'),
    `import { z } from 'zod';
     import { newSession, renewSession, type SessionOptions } from './session/index.ts';
     import { sessionFields, sessionMiddleware } from './session/index.ts';
     const fields = sessionFields.extend({ todos: z.array(z.string()).default([]) });
     declare module './session/record.ts' {
       interface SessionFields extends z.infer<typeof fields> {}
     }
     declare const options: Omit<SessionOptions, 'fields'>;
     sessionMiddleware({ ...options, fields });
     // @ts-expect-error: without its fields, req.session.todos would be undefined
     sessionMiddleware(options);
     type Request = Parameters<typeof renewSession>[0];
     export const carry = (req: Request) =>
       renewSession(req, (old) => ({ ...newSession(), views: old?.views, todos: old?.todos }));
     export const wrong = (req: Request) =>
       // @ts-expect-error: a list of texts
       renewSession(req, () => ({ todos: [7] }));`,
  );
  typeCheck(folder);
});

it('the examples of the drop-in store compile with only the files that the docs name', (t) => {
  const folder = emptyFolder(t);
  const page = read('docs/drop-in-store.md');
  for (const name of ['drop-in-store.ts', 'errors.ts', 'session-id.ts', 'stores']) {
    assert.ok(page.includes(`\`${name.replace(/^stores$/, 'stores/')}\``));
    cpSync(join(root, 'app/session', name), join(folder, 'session', name), { recursive: true });
  }
  const examples = codeBlocks(page + read('docs/migrate.md'), 'ts').filter(usesDropIn);
  assert.equal(examples.length, 2);
  for (const [n, code] of examples.entries()) writeFileSync(join(folder, `${n}.ts`), code);
  typeCheck(folder);
});
