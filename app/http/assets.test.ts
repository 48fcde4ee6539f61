import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import express from 'express';
import { type Listening, listen } from '../../test-support/listen.ts';
import { tempDir } from '../../test-support/temp-dir.ts';
import { assetsInMemory, assetsOnDisk, createAssets } from './assets.ts';

let site: Listening;
let folder: Awaited<ReturnType<typeof tempDir>>;
before(async () => {
  folder = await tempDir('assets');
  mkdirSync(join(folder.path, 'deep'));
  writeFileSync(join(folder.path, 'a.css'), 'a { color: red }');
  writeFileSync(join(folder.path, 'long.css'), 'a { color: red }\n'.repeat(100));
  writeFileSync(join(folder.path, 'deep/b.svg'), '<svg>€</svg>');
  const app = express().set('env', 'test'); // so that Express prints no errors
  app.use('/heap', assetsInMemory(folder.path));
  app.use('/disk', assetsOnDisk(folder.path, 300));
  site = await listen(app);
});
after(async () => {
  await site.close();
  await folder[Symbol.asyncDispose]();
});

const ask = async (path: string, init?: RequestInit) => {
  const response = await fetch(site.origin + path, init);
  const { date: _, ...headers } = Object.fromEntries(response.headers);
  return { status: response.status, headers, text: await response.text() };
};

it('files in memory are served as express.static serves them', async () => {
  const { etag = '', 'last-modified': modified = '' } = (await ask('/heap/a.css')).headers;
  const requests: [string, RequestInit?][] = [
    ['/a.css'],
    ['/deep/b.svg'],
    ['/a.css', { method: 'HEAD' }],
    ['/a.css', { headers: { 'if-none-match': etag } }],
    ['/a.css', { headers: { 'if-none-match': '"other", *' } }],
    ['/a.css', { headers: { 'if-modified-since': modified } }],
    ['/a.css', { headers: { 'if-none-match': etag, 'cache-control': 'no-cache' } }],
    ['/a.css', { headers: { range: 'bytes=2-4' } }],
    ['/a.css', { headers: { range: 'bytes=99-' } }],
    ['/a.css', { headers: { 'if-match': '"other"' } }],
    ['/a.css', { method: 'POST' }],
    ['/deep'],
    ['/..%2fa.css'],
    ['/c.css'],
  ];
  for (const [path, init] of requests) {
    const [memory, disk] = [await ask(`/heap${path}`, init), await ask(`/disk${path}`, init)];
    const text = (response: typeof disk) => response.text.replaceAll('/heap', '/disk');
    assert.deepEqual({ ...memory, text: text(memory) }, disk, `${path} ${JSON.stringify(init)}`);
  }
});

it('a file in memory is sent compressed if the client accepts that and it is smaller', async () => {
  const as = async (path: string, encodings: string) => {
    const { headers, text } = await ask(path, { headers: { 'accept-encoding': encodings } });
    assert.equal(headers['accept-ranges'], headers['content-encoding'] ? 'none' : 'bytes');
    return [headers['content-encoding'], Number(headers['content-length']), headers.vary, text];
  };
  const text = 'a { color: red }\n'.repeat(100);
  const [encoding, length, vary, got] = await as('/heap/long.css', 'gzip, deflate, br');
  assert.deepEqual([encoding, vary, got], ['br', 'Accept-Encoding', text]);
  assert.ok(Number(length) < 100);
  const whole = [undefined, 1700, 'Accept-Encoding', text];
  assert.deepEqual(await as('/heap/long.css', 'gzip'), whole);
  assert.deepEqual(await as('/heap/long.css', 'br;q=0, identity'), whole);
  const short = [undefined, 16, undefined, 'a { color: red }'];
  assert.deepEqual(await as('/heap/a.css', 'br'), short);
});

it('the address of a file changes whenever any file does, so a browser requests each address only once', async (t) => {
  const old = await tempDir('assets');
  t.after(() => old[Symbol.asyncDispose]());
  writeFileSync(join(old.path, 'a.css'), 'a { color: blue }');
  const worker = async (path: string) => {
    const assets = createAssets(path, true);
    const app = express().set('env', 'test').use('/assets', assets.handlers);
    const { origin, close } = await listen(app);
    t.after(close);
    const get = async (url: string) => {
      const response = await fetch(origin + url);
      return [response.status, await response.text(), response.headers.get('cache-control')];
    };
    return { url: assets.url('a.css'), get };
  };
  const [last, now] = [await worker(old.path), await worker(folder.path)];

  const forever = 'public, max-age=31536000, immutable';
  assert.match(now.url, /^\/assets\/[0-9a-f]{12}\/a\.css$/);
  assert.notEqual(now.url, last.url);
  assert.equal(createAssets(folder.path, true).url('a.css'), now.url);
  assert.deepEqual(await now.get(now.url), [200, 'a { color: red }', forever]);
  // During a roll, a page may ask a worker for a file of another version. No cache may reuse the response.
  assert.deepEqual(await now.get(last.url), [200, 'a { color: red }', 'no-cache']);
  assert.deepEqual(await last.get(now.url), [200, 'a { color: blue }', 'no-cache']);
  assert.equal((await now.get('/assets/a.css'))[2], 'public, max-age=300');
  const hash = now.url.split('/')[2];
  for (const path of [`${hash}/c.css`, `${hash}/${hash}/a.css`, `${hash}/`, `${hash}/..%2fa.css`])
    assert.equal((await now.get(`/assets/${path}`))[0], 404, path);

  assert.equal(createAssets(folder.path, false).url('a.css'), '/assets/a.css');
});

it('files in memory do not change after the start', async () => {
  writeFileSync(join(folder.path, 'deep/b.svg'), '<svg/>');
  assert.equal((await ask('/heap/deep/b.svg')).text, '<svg>€</svg>');
  assert.equal((await ask('/disk/deep/b.svg')).text, '<svg/>');
});
