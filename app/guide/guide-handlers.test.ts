import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { PAGE, type Shop, startShop } from '../../test-support/start-shop.ts';
import { memoryBackend } from '../session/index.ts';
import { excerpt } from './excerpt.ts';

const root = join(import.meta.dirname, '../..');

describe('the guide', () => {
  let shop: Shop;
  let slugs: string[];
  before(async () => {
    shop = await startShop(memoryBackend());
    const { chapters } = (await shop.visitor().get('/guide')).json;
    slugs = chapters.map(({ slug }: { slug: string }) => slug);
    assert.ok(slugs.length >= 10);
  });
  after(() => shop.close());

  it('shows each chapter, with its code from the source', async () => {
    const index = (await shop.visitor().get('/guide', PAGE)).text;
    for (const slug of slugs) {
      assert.ok(index.includes(`href="/guide/${slug}"`), slug);
      const page = await shop.visitor().get(`/guide/${slug}`, PAGE);
      assert.equal(page.status, 200, slug);
      const { code } = (await shop.visitor().get(`/guide/${slug}`)).json;
      assert.ok(code.length > 0);
      for (const { file, text } of code) {
        const source = readFileSync(join(root, file), 'utf8').replace(/^ +/gm, '');
        assert.ok(source.includes(text.replace(/^ +/gm, '')), `${slug}: ${file}`);
      }
    }
  });

  it('names only tests that exist', async () => {
    for (const slug of slugs) {
      const { tests } = (await shop.visitor().get(`/guide/${slug}`)).json;
      assert.ok(tests.length > 0);
      for (const { file, name } of tests)
        assert.ok(readFileSync(join(root, file), 'utf8').includes(`it('${name}'`), name);
    }
  });

  it('links only to pages that exist', async () => {
    for (const slug of ['', ...slugs.map((s) => `/${s}`)]) {
      const page = await shop.visitor().get(`/guide${slug}`, PAGE);
      for (const [, href = ''] of page.text.matchAll(/href="(\/[^"#]*)/g))
        assert.equal((await shop.visitor().get(href, PAGE)).status, 200, href);
    }
  });

  it('shows each file that a chapter names, and links to it', async () => {
    for (const slug of slugs) {
      const { code, tests } = (await shop.visitor().get(`/guide/${slug}`)).json;
      const { text } = await shop.visitor().get(`/guide/${slug}`, PAGE);
      for (const { file } of [...code, ...tests]) {
        assert.ok(text.includes(`href="/guide/source/${file}#:~:text=`), `${slug}: ${file}`);
        const source = (await shop.visitor().get(`/guide/source/${file}`)).json;
        assert.deepEqual(source, { file, text: readFileSync(join(root, file), 'utf8') });
      }
    }
  });

  it('shows no other file', async () => {
    for (const file of [
      ...['', 'app/server.ts', '.env', 'package.json', 'app/session', '/app/session/fields.ts'],
      ...['../package.json', '..%2f..%2fetc/passwd', '%2e%2e/package.json', '/etc/passwd'],
      ...['app//session/fields.ts', 'app%2fsession%2ffields.ts%00'],
      ...['constructor', '__proto__'],
    ])
      assert.equal((await shop.visitor().get(`/guide/source/${file}`)).status, 404, file);
  });

  it('has no other chapters', async () => {
    for (const path of ['/guide/nothing', '/guide/_code', '/guide/..%2ferror'])
      assert.equal((await shop.visitor().get(path, PAGE)).status, 404, path);
  });
});

it('an excerpt is a whole declaration with its comment, and nothing after it', () => {
  assert.equal(
    excerpt('app/session/session-id.ts', 'newSessionId'),
    `/** 256 bits from the operating system's generator, as 43 URL-safe characters. */
export const newSessionId = () => randomBytes(32).toString('base64url');`,
  );
  const text = excerpt('app/session/express-session-store.ts', 'set');
  assert.match(text, /^\/\*\*\n[\s\S]*\noverride set\([\s\S]*\n\}$/);
  assert.doesNotMatch(text, /touch/);
  const wrapped = excerpt('app/session/lifecycle.ts', 'renew');
  assert.match(wrapped, /\n\): Promise<.*\{\n[\s\S]*throw failure;\n {2}\}\n\}$/);
});

it('an excerpt may hold blank lines and start with a line comment, and its name matches as a whole', () => {
  const file = 'app/inspector/recorder.ts';
  assert.match(excerpt(file, 'createRecorder'), /\n\n[\s\S]*, recall \};\n\}$/);
  assert.match(excerpt(file, 'add'), /^\/\/ Records a step.*\nconst add = /);
  assert.match(
    excerpt('app/session/stores/compare-and-set-loop.ts', 'commit'),
    /\nfunction commit\(/,
  );
});

it('an excerpt of a name that is declared twice is an error', () => {
  assert.throws(() => excerpt('app/session/lifecycle.ts', 'record'), /declares record \d times/);
});

it('an excerpt of a missing name is an error, so the app does not start', () => {
  assert.throws(() => excerpt('app/session/lifecycle.ts', 'undo'), /declares undo 0 times/);
});
