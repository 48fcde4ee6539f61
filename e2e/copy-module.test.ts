// Copies the session module into an empty folder with the README's commands, as a reader would.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve, sep } from 'node:path';
import { after, before, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { startChild } from '../test-support/child.ts';
import { freePort } from '../test-support/free-port.ts';
import { httpClient } from '../test-support/http-client.ts';
import { listen } from '../test-support/listen.ts';
import { startRedis } from '../test-support/redis.ts';
import { tempDir } from '../test-support/temp-dir.ts';

const root = resolve(import.meta.dirname, '..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const [readme, page] = [read('README.md'), read('docs/session-module.md')];
const commandIn = (text: string, beginning: string) =>
  text.split('\n').find((line) => line.startsWith(beginning)) ?? '';
const exampleIn = (text: string, part: string) =>
  [...text.matchAll(/^```ts\n(.*?)^```/gms)].find(([, code]) => code?.includes(part))?.[1] ?? '';
/** The compiler options that a sentence of the docs names. */
const optionsIn = (sentence: string) =>
  `{ ${[...sentence.matchAll(/`("\w+": [^`]+)`/g)].map(([, option]) => option).join()} }`;

const cleanup = new AsyncDisposableStack();
after(() => cleanup.disposeAsync());
let folder: string;
let nodes: string;
let redisUrl: string;

// npm and the compiler run as they do outside of this project.
const path = (process.env.PATH ?? '').split(delimiter);
const outside = path.filter((dir) => !dir.endsWith(join(sep, 'node_modules', '.bin')));
const own = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name));
const env = { ...Object.fromEntries(own), PATH: outside.join(delimiter) };
const run = (command: string, cwd: string, more: NodeJS.ProcessEnv = {}) =>
  promisify(execFile)('sh', ['-c', command], { cwd, env: { ...env, ...more }, timeout: 100_000 });
const FROM_CACHE = '--prefer-offline --no-audit --no-fund';
const OLDER = [24, 22];

before(async () => {
  folder = cleanup.use(await tempDir('copy-module')).path;
  nodes = cleanup.use(await tempDir('nodes')).path;
  const redis = await startRedis();
  cleanup.defer(redis.stop);
  redisUrl = redis.url;

  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  const github = await standInForGitHub();
  const giget = join(root, 'node_modules/.bin/giget');
  const take = run(commandIn(readme, 'npx giget ').replace('npx giget', giget), folder, {
    GIGET_GITHUB_URL: github,
    XDG_CACHE_HOME: join(nodes, 'cache'),
    PATH: process.env.PATH,
  });
  const line = commandIn(readme, 'npm install express');
  const types = commandIn(page, 'npm install --save-dev');
  await Promise.all([
    take,
    run(`${line} ${FROM_CACHE}`, folder).then(() => run(`${types} ${FROM_CACHE}`, folder)),
    ...OLDER.map(fetchNode),
  ]);
  writeFileSync(join(folder, 'src/app.ts'), exampleIn(readme, 'app.listen'));
});

const nodeIn = (version: number) => join(nodes, `${version}/package/bin/node`);

/** Fetches an older Node.js, from the package of this platform's Node.js that package.json names. */
async function fetchNode(version: number): Promise<void> {
  const names = Object.keys(JSON.parse(read('package.json')).optionalDependencies);
  const name = names.find((each) => existsSync(join(root, 'node_modules', each)));
  const dir = join(nodes, String(version));
  mkdirSync(dir);
  await run(`npm pack ${name}@${version} --prefer-offline && tar -xzf *.tgz package/bin/node`, dir);
}

/** Serves this project as GitHub's API does: a tarball with everything in one folder. */
async function standInForGitHub(): Promise<string> {
  const snapshot = cleanup.use(await tempDir('snapshot')).path;
  for (const name of ['app/session', 'app/session-tests'])
    cpSync(join(root, name), join(snapshot, 'cloakroom-0123abc', name), { recursive: true });
  await run('tar -czf snapshot.tgz cloakroom-0123abc', snapshot);
  const { origin, close } = await listen((req, res) => {
    if (req.url !== '/repos/OWNER/cloakroom/tarball/main') return res.writeHead(404).end();
    return res.end(readFileSync(join(snapshot, 'snapshot.tgz')));
  });
  cleanup.defer(close);
  return origin;
}

/** Type-checks the folder with these options, and compiles it unless they say otherwise. */
async function compile(options: string): Promise<void> {
  const tsconfig = `{ "compilerOptions": ${options}, "include": ["src"] }`;
  writeFileSync(join(folder, 'tsconfig.json'), tsconfig);
  const { stdout } = await run('node_modules/.bin/tsc', folder).catch((error) => error);
  assert.equal(stdout, '');
}

async function start(t: TestContext, node: string, file: string) {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const child = await startChild(node, [file], {
    cwd: folder,
    env: { PORT: String(port), REDIS_URL: redisUrl },
    ready: async () => (await fetch(`${origin}/`)).ok,
  });
  t.after(() => child.stop());
  return { origin, stop: child.stop };
}

it('the README’s command downloads the module without its tests, and the README’s example compiles and runs', async (t) => {
  assert.ok(existsSync(join(folder, 'src/session/stores/redis.ts')));
  assert.deepEqual(globSync('src/**/*.test.ts', { cwd: folder }), []);
  await compile(optionsIn(/^.*"noEmit".*$/m.exec(page)?.[0] ?? ''));
  const { origin } = await start(t, process.execPath, 'src/app.ts');
  const visitor = httpClient(origin);
  assert.equal((await visitor.get('/')).text, 'Views: 1');
  assert.equal((await visitor.get('/')).text, 'Views: 2');
  assert.equal((await visitor.post('/login')).status, 303);
  assert.equal((await visitor.get('/')).text, 'Views: 3');
});

it('a field that the reader adds survives restarts on Redis, on Node.js 26 and, as JavaScript, on 24 and 22', async (t) => {
  const edit = (file: string, changes: Record<string, string>) => {
    let text = readFileSync(join(folder, file), 'utf8');
    for (const [from, to] of Object.entries(changes)) {
      assert.ok(text.includes(from), from);
      text = text.replace(from, to);
    }
    return text;
  };
  const fields = edit('src/session/fields.ts', {
    'views: z.': 'todos: z.array(z.string()).default([]),\n  views: z.',
  });
  writeFileSync(join(folder, 'src/session/fields.ts'), fields);
  writeFileSync(join(folder, 'src/redis.ts'), exampleIn(page, 'createClient'));
  const app = edit('src/app.ts', {
    'memoryBackend()': 'backend',
    '  memoryBackend,\n': '',
    'const app =': "import { backend } from './redis.ts';\nconst app =",
    'app.listen(': `app.post('/todos/:todo', async (req, res) => {
      await updateSession(req, (draft) => {
        draft.todos.push(req.params.todo);
      });
      res.json(req.session.todos);
    });
    app.listen(`,
  });
  writeFileSync(join(folder, 'src/todo.ts'), app);
  await compile(optionsIn(/^.*"outDir".*$/m.exec(page)?.[0] ?? ''));

  let cookie: string | undefined;
  const todos: string[] = [];
  for (const [node, file] of [
    [process.execPath, 'src/todo.ts'],
    ...OLDER.map((version) => [nodeIn(version), 'dist/todo.js'] as const),
  ] as const) {
    const { origin, stop } = await start(t, node, file);
    const visitor = httpClient(origin, cookie);
    todos.push(`todo-${todos.length}`);
    const response = await visitor.post(`/todos/${todos.at(-1)}`);
    assert.deepEqual(response.json, todos, node);
    cookie = visitor.cookie;
    await stop();
  }
});
