// package-lock.json, and how .ci/install.mjs uses it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { it } from 'node:test';
import { tempDir } from '../test-support/temp-dir.ts';

type Packages = Record<string, Record<string, Record<string, string> | undefined>>;

const root = resolve(import.meta.dirname, '..');
const text = readFileSync(join(root, 'package-lock.json'), 'utf8');
const project = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const kinds = ['dependencies', 'devDependencies', 'optionalDependencies'];

it('the lockfile has every package that another one names, for every platform', () => {
  const packages: Packages = JSON.parse(text).packages;
  for (const kind of kinds) assert.deepEqual(packages['']?.[kind], project[kind]);
  for (const [place, found] of Object.entries(packages))
    for (const name of kinds.flatMap((kind) => Object.keys(found[kind] ?? {})))
      assert.ok(isLocked(packages, place, name), `${place} needs ${name}`);
  for (const platform of ['darwin-arm64', 'darwin-x64', 'linux-x64-musl', 'win32-x64'])
    assert.ok(packages[`node_modules/@biomejs/cli-${platform}`], platform);
});

/** Whether `name` is in the node_modules of `place`, or further up. */
function isLocked(packages: Packages, place: string, name: string): boolean {
  if (packages[join(place, 'node_modules', name)]) return true;
  const above = place.replace(/\/?node_modules\/(@[^/]+\/)?[^/]+$/, '');
  return place !== '' && isLocked(packages, above, name);
}

it('the lockfile names no registry, and has a checksum for each package', () => {
  assert.doesNotMatch(text, /"resolved"/);
  const { '': _project, ...packages } = JSON.parse(text).packages;
  for (const place of Object.keys(packages))
    assert.match(packages[place].integrity, /^sha512-/, place);
});

it('npm run dev installs no tools, npm test adds them, and npm run dev then keeps them', async (t) => {
  const dir = await tempDir('install');
  t.after(() => dir[Symbol.asyncDispose]());
  const write = (name: string, content: object) =>
    writeFileSync(join(dir.path, name), JSON.stringify(content));
  const lock = (version: string) => {
    const packages = { '': {}, app: { version }, tool: { version, dev: true } };
    write('package-lock.json', { packages: { ...packages, other: { version, optional: true } } });
  };
  // A stand-in for npm: it records its arguments, and lists what npm would have installed.
  const npm = `#!${process.execPath}
    const { mkdirSync, readFileSync, writeFileSync } = require('node:fs');
    const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
    if (process.argv.includes('--omit=dev')) delete packages.tool;
    delete packages.other;
    mkdirSync('node_modules', { recursive: true });
    writeFileSync('node_modules/.package-lock.json', JSON.stringify({ packages }));
    writeFileSync('calls', process.argv.slice(2).join(' '));`;
  mkdirSync(join(dir.path, 'bin'));
  writeFileSync(join(dir.path, 'bin/npm'), npm, { mode: 0o755 });
  symlinkSync(process.execPath, join(dir.path, 'bin/node'));
  cpSync(join(root, '.ci/install.mjs'), join(dir.path, '.ci/install.mjs'));
  const install = (...args: string[]) => {
    writeFileSync(join(dir.path, 'calls'), '');
    const { status, stderr } = spawnSync(process.execPath, ['.ci/install.mjs', ...args], {
      cwd: dir.path,
      env: { PATH: join(dir.path, 'bin') },
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
    return readFileSync(join(dir.path, 'calls'), 'utf8');
  };

  lock('1.0.0');
  // The fake PATH already has Node.js 26.
  assert.equal(install(), 'ci --omit=dev --omit=optional');
  assert.equal(install(), '');
  assert.equal(install('--with-tools'), 'install --no-save --include=dev --include=optional');
  assert.equal(install('--with-tools'), '');
  assert.equal(install(), '');
  lock('1.0.1');
  assert.equal(install(), 'install --no-save --include=dev --include=optional');
});

it('the packages for traces are devDependencies, and the command in operate.md names the versions of the lockfile', () => {
  const { packages } = JSON.parse(text);
  const guide = readFileSync(join(root, 'docs/operate.md'), 'utf8');
  const command = /^npm install --no-save --save-prod .*$/m.exec(guide)?.[0] ?? '';
  const own = Object.keys(project.devDependencies).filter((name) => name.startsWith('@opentel'));
  for (const name of own) {
    const { version, dev } = packages[`node_modules/${name}`];
    // prom-client brings the API along.
    if (dev) assert.ok(command.includes(` ${name}@${version}`), name);
  }
  const added = Object.keys(packages).filter(
    (name) => name.startsWith('node_modules/@opentelemetry/') && packages[name].dev,
  );
  assert.match(guide, new RegExp(`adds ${added.length} packages`));
});

it('each script that starts with exec runs the installer first, which gives Windows an exec', () => {
  const scripts: Record<string, string> = project.scripts;
  const names = Object.keys(scripts).filter((name) => scripts[name]?.startsWith('exec '));
  assert.deepEqual(names.sort(), ['accounts', 'backup', 'dev', 'move-documents', 'start']);
  for (const name of names) assert.match(scripts[`pre${name}`] ?? '', /^node .ci\/install.mjs/);
});
