// npm run test:store, npm run schema and the examples of docs/stores.md.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { it } from 'node:test';
import { tempDir } from '../test-support/temp-dir.ts';

const root = resolve(import.meta.dirname, '..');
const index = join(root, 'app/session/index.ts');

/** A reader's own backend, on SQLite. `change` can break it. */
const ownBackend = (database: string, change: string) => `
import { DatabaseSync } from 'node:sqlite';
import { sqliteBackend } from ${JSON.stringify(index)};

export default () => {
  const database = new DatabaseSync(${JSON.stringify(database)});
  const backend = sqliteBackend(database, '');
  const set = database.prepare('insert or replace into records values (?, ?, ?, null)');
  return {
    ...backend,
    ${change}
    plant: async (key, text) => set.run(key, /"version":(\\d+)/.exec(text)?.[1] ?? -1, text),
    close: () => database.close(),
  };
};`;

for (const { what, change, code, output } of [
  { what: 'passes a backend that keeps the contract', change: '', code: 0, output: /pass [1-9]/ },
  {
    what: 'fails one that stores without comparing',
    change: `compareAndSet: async (key, version, next, ttlMs) => {
      const now = JSON.parse(await backend.get(key) ?? '{"version":0}').version;
      return backend.compareAndSet(key, now, next, ttlMs);
    },`,
    code: 1,
    output: /✖ refuses to create an existing record/,
  },
])
  it(`npm run test:store ${what}`, async () => {
    await using dir = await tempDir('own-store');
    const file = join(dir.path, 'my-backend.ts');
    writeFileSync(file, ownBackend(join(dir.path, 'own.db'), change));
    const args = ['test-support/test-store.ts', 'my-backend.ts', '--test-name-pattern=a backend'];
    const { status, stdout } = spawnSync(process.execPath, args, {
      cwd: root,
      env: {
        ...process.env,
        INIT_CWD: dir.path,
        NODE_TEST_CONTEXT: undefined,
        TEST_WITHOUT_SERVERS: undefined,
      },
      encoding: 'utf8',
    });
    assert.equal(status, code, stdout);
    assert.match(stdout, output);
    assert.doesNotMatch(stdout, /on (memory|Redis)/);
  });

it('npm run test:store names a file that does not exist', () => {
  const args = ['test-support/test-store.ts', './typo.ts'];
  const env = { ...process.env, INIT_CWD: '/nowhere' };
  const { status, stderr } = spawnSync(process.execPath, args, {
    cwd: root,
    env,
    encoding: 'utf8',
  });
  assert.deepEqual([status, stderr], [1, 'There is no file /nowhere/typo.ts\n']);
});

it('npm run schema prints a schema that creates the table, and names the choices', () => {
  const schema = (...args: string[]) =>
    spawnSync(process.execPath, ['app/storage/print-schema.ts', ...args], {
      cwd: root,
      encoding: 'utf8',
    });
  const database = new DatabaseSync(':memory:');
  database.exec(schema('sqlite').stdout);
  assert.deepEqual(database.prepare('select * from records').all(), []);
  assert.match(schema('postgres').stdout, /^create table if not exists records/);
  assert.match(schema('mysql').stdout, /engine = InnoDB/);
  const wrong = schema('oracle');
  assert.deepEqual(
    [wrong.status, wrong.stderr],
    [1, 'Usage: npm run schema -- postgres|mysql|sqlite\n'],
  );
});

it('the examples of docs/stores.md compile', (t) => {
  const folder = mkdtempSync(join(root, 'e2e', 'lifted-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const page = readFileSync(join(root, 'docs/stores.md'), 'utf8');
  const examples = [...page.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code = '']) =>
    code.replace('./session/', '../../app/session/'),
  );
  assert.equal(examples.length, 4);
  for (const [n, code] of examples.entries()) writeFileSync(join(folder, `${n}.ts`), code);
  // The part of the package that the example uses, from its documentation.
  const mongodb = `declare module 'mongodb' {
    export type Collection<T> = {
      findOne(filter: object): Promise<T | null>;
      insertOne(row: T): Promise<unknown>;
      updateOne(filter: object, update: { $set: Partial<T> }): Promise<{ matchedCount: number }>;
      deleteOne(filter: object): Promise<{ deletedCount: number }>;
    };
  }`;
  writeFileSync(join(folder, 'mongodb.d.ts'), mongodb);
  const tsconfig = { extends: '../../tsconfig.json', include: ['**/*.ts'] };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(tsconfig));
  const tsc = join(root, 'node_modules/.bin/tsc');
  const { status, stdout } = spawnSync(tsc, ['--project', folder], { encoding: 'utf8' });
  assert.equal(status, 0, stdout);
});
