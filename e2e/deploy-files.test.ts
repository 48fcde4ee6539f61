// Checks the files of deploy/ that need Docker or systemd, as far as possible without running
// either.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  globSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join, matchesGlob } from 'node:path';
import { after, before, it } from 'node:test';
import { DCLinter } from 'dclint';
import { parse } from 'yaml';
import { startChild } from '../test-support/child.ts';
import { freePort } from '../test-support/free-port.ts';
import { recipe } from '../test-support/recipe.ts';
import { startRedisWithUsers } from '../test-support/redis.ts';
import { run } from '../test-support/run.ts';
import { tempDir } from '../test-support/temp-dir.ts';

const root = new URL('../', import.meta.url).pathname;
const read = (file: string) => readFileSync(`${root}deploy/${file}`, 'utf8');

if (process.platform === 'linux')
  it('systemd accepts the service, with and without an instance name, and rates its exposure as low', async () => {
    await using dir = await tempDir('systemd');
    const unit = await recipe('systemd/cloakroom.service', {
      'WorkingDirectory=/opt/cloakroom': `WorkingDirectory=${root}`,
      'ExecStartPre=node': `ExecStartPre=${process.execPath}`,
      'ExecStart=node': `ExecStart=${process.execPath}`,
    });
    for (const name of ['cloakroom.service', 'cloakroom@3000.service']) {
      const file = join(dir.path, name);
      writeFileSync(file, unit);
      const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', file], {
        encoding: 'utf8',
      });
      assert.equal(stdout + stderr, '');
      assert.equal(status, 0);
    }
    const file = join(dir.path, 'cloakroom.service');
    const report = await run('systemd-analyze', ['security', '--offline=true', file]);
    // Two instances share the database: one user must own it.
    assert.match(unit, /^DynamicUser=yes\nUser=cloakroom$/m);
    const exposure = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(report)?.[1]);
    assert.ok(exposure <= 1.5, `exposure ${exposure}`);
  });

// Only root may change mounts and users. Anyone else has no privileges to drop.
const isLinuxRoot = process.platform === 'linux' && process.getuid?.() === 0;

/**
 * The command that runs `node ...args` as compose.yaml does: everything but `volume` is read-only,
 * the user is 1000 (`node` in the image), and there are no capabilities and no way to gain any.
 */
function lockedDown(volume: string, args: string[]): [string, string[]] {
  if (!isLinuxRoot) return [process.execPath, args];
  // Node.js may lie in a folder that user 1000 cannot enter, so it is mounted in the volume.
  const script = `set -e
volume=$1 node=$2 user="--reuid=1000 --regid=1000 --clear-groups"
shift 2
mount --bind "$volume" "$volume"
touch "$volume/node"
mount --bind "$node" "$volume/node"
mount -o remount,bind,ro /
exec setpriv $user --no-new-privs --inh-caps=-all --bounding-set=-all -- "$volume/node" "$@"`;
  const shell = ['sh', '-c', script, 'sh', volume, process.execPath, ...args];
  return ['unshare', ['--mount', ...shell]];
}

const dockerfile = read('docker/Dockerfile');
const deployPage = readFileSync(`${root}docs/deploy.md`, 'utf8');

let image: Awaited<ReturnType<typeof tempDir>>;
after(() => image[Symbol.asyncDispose]());
/** Executes each COPY, the RUN of `npm ci` and the one that compiles, as Docker would, in a new folder. */
before(async () => {
  image = await tempDir('image');
  await using compiled = await tempDir('compiled');
  const ignored = read('docker/Dockerfile.dockerignore').split('\n');
  const letIn = ignored.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
  const keptOut = ignored.filter((line) => line.startsWith('**'));
  for (const [line] of dockerfile.matchAll(/^(COPY|RUN) .+/gm)) {
    const names = line.startsWith('COPY') ? line.split(' ').slice(1, -1) : [];
    for (const name of names) {
      assert.ok(letIn.includes(name), `${name} does not reach the builder`);
      const filter = (file: string) => !keptOut.some((glob) => matchesGlob(file, glob));
      cpSync(root + name, join(image.path, name), { recursive: true, filter });
    }
    // The second half would empty the developer's own cache.
    const install = /^RUN npm (ci .+) && npm cache clean --force$/.exec(line)?.[1];
    if (install)
      await run('npm', [...install.split(' '), '--prefer-offline'], {
        cwd: image.path,
        timeout: 120_000,
      });
    const check = /^RUN (.+ --check)$/.exec(line)?.[1];
    if (check) {
      const NODE_COMPILE_CACHE = join(compiled.path, 'code');
      const PATH = `${dirname(process.execPath)}:${process.env.PATH}`;
      await run('sh', ['-c', check], { cwd: image.path, env: { PATH, NODE_COMPILE_CACHE } });
      assert.ok(existsSync(NODE_COMPILE_CACHE), 'it compiles nothing');
    }
  }
});

it('the image runs as compose runs it: all but its volume is read-only, and nothing in it runs as root', async (t) => {
  // tempDir() lets only its owner in.
  chmodSync(image.path, 0o755);
  const files = async () => (await readdir(image.path, { recursive: true })).toSorted();
  const inImage = await files();

  const redis = await startRedisWithUsers();
  t.after(redis.stop);
  const port = String(await freePort());
  await using volume = await tempDir('volume');
  const secret = join(volume.path, 'secret');
  writeFileSync(secret, 'f3Xw9Lq2Vb7Nc5Zk8Hs4Jd6Gt1Ry0PmU');
  if (isLinuxRoot) chownSync(volume.path, 1000, 1000);
  // compose.yaml gives the app no place for temporary files.
  const readOnly = {
    HOME: '/nonexistent',
    TMPDIR: '/nonexistent',
    NODE_COMPILE_CACHE: '/nonexistent',
  };
  const env = { ...readOnly, NODE_ENV: 'production', HOST: '127.0.0.1', PORT: port };
  const words = (pattern: RegExp): string[] => JSON.parse(pattern.exec(dockerfile)?.[1] ?? '[]');
  const [start, ...args] = words(/^CMD (.+)$/m);
  const [check, ...checkArgs] = words(/^HEALTHCHECK .*CMD (.+)$/m);
  assert.deepEqual([start, check], ['node', 'node']);
  const isHealthy = () =>
    spawnSync(process.execPath, checkArgs, { env: { ...process.env, ...env } }).status === 0;
  const child = await startChild(...lockedDown(volume.path, args), {
    cwd: image.path,
    env: {
      ...env,
      TRUST_PROXY: '1',
      REDIS_URL: redis.url,
      DATABASE_URL: `sqlite:${join(volume.path, 'shop.db')}`,
      SESSION_SECRET_FILE: secret,
    },
    ready: /Cloakroom is open/,
  });
  t.after(() => child.stop());
  if (isLinuxRoot) {
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    assert.match(status, /^CapEff:\t0+$/m);
    assert.match(status, /^NoNewPrivs:\t1$/m);
    assert.match(status, /^Uid:\t1000\t1000\t/m);
    assert.match(readFileSync(`/proc/${child.pid}/mountinfo`, 'utf8'), / \/ \/ ro,/);
  }
  assert.ok(isHealthy());
  const headers = { 'X-Forwarded-Proto': 'https' };
  assert.equal((await fetch(`http://127.0.0.1:${port}/`, { headers })).status, 200);
  await child.stop();
  assert.ok(!isHealthy());
  assert.deepEqual(await files(), inImage, 'it writes nothing beside its code');
  // Nobody but root owns the code, and the app is not root.
  assert.doesNotMatch(dockerfile, /--chown|--chmod|^ADD /m);
  assert.deepEqual(dockerfile.match(/^(USER|CMD) .*$/gm)?.[0], 'USER node');
  assert.equal(dockerfile.match(/^USER /gm)?.length, 1);
});

it('the image is as large as docs/deploy.md says, and its SBOM lists the packages in it', async () => {
  const packages = join(image.path, 'node_modules');
  const installed = globSync(['{*,@*/*,**/node_modules/{*,@*/*}}/package.json'], { cwd: packages });
  const inImage = installed.map((file) => {
    const { name, version } = JSON.parse(readFileSync(join(packages, file), 'utf8'));
    return `${name}@${version}`;
  });
  const [, all, npm] = /adds about (\d+) MB .*, (\d+) MB of it/.exec(deployPage) ?? [];
  const megabytes = async (folder: string) =>
    Number.parseInt(await run('du', ['-sk', folder]), 10) / 1024;
  assert.ok(Math.abs((await megabytes(packages)) - Number(npm)) <= 5, `${npm} MB`);
  assert.ok(Math.abs((await megabytes(image.path)) - Number(all)) <= 5, `${all} MB`);

  const commands = /\(SBOM\)[\s\S]*?```sh\n([\s\S]*?)```/.exec(deployPage)?.[1] ?? '';
  const [install, ...rest] = commands.trim().split('\n');
  assert.ok(dockerfile.includes(`RUN ${install} &&`));
  assert.equal(rest.length, 2);
  for (const line of rest) await run('sh', ['-c', line], { cwd: image.path });
  const { components } = JSON.parse(readFileSync(join(image.path, 'sbom.json'), 'utf8'));
  const listed = components.map(
    ({ group, name, version }: Record<string, string>) =>
      `${group ? `${group}/` : ''}${name}@${version}`,
  );
  assert.deepEqual(listed.toSorted(), [...new Set(inImage)].toSorted());
});

it('the compose files follow the current Compose schema', () => {
  const files = ['compose.yaml', 'compose.postgres.yaml'].map(
    (name) => `${root}deploy/docker/${name}`,
  );
  const linter = new DCLinter({ rules: {}, quiet: true, debug: false, exclude: [] });
  for (const { messages } of linter.lintFiles(files, false))
    assert.deepEqual(
      messages.filter(({ rule }: { rule: string }) => rule === 'invalid-schema'),
      [],
    );
});

it('compose lets only the app reach Redis and PostgreSQL, and contains no secret', () => {
  const { services, networks, secrets, volumes } = parse(read('docker/compose.yaml'));
  const variant = parse(read('docker/compose.postgres.yaml'));
  assert.deepEqual(Object.keys(services), ['proxy', 'app', 'redis']);
  const { postgres } = variant.services;
  for (const { networks: its, ports } of [services.redis, postgres])
    assert.deepEqual([its, ports], [['back'], undefined]);
  const [[volume, folder]] = services.app.volumes.map((each: string) => each.split(':'));
  assert.ok(volume in volumes);
  assert.match(read('docker/Dockerfile'), new RegExp(`--owner=node --mode=700 ${folder}$`, 'm'));
  for (const secret of postgres.secrets)
    assert.match(variant.secrets[secret].file, /^.\/secrets\//);
  assert.deepEqual(services.app.networks, ['front', 'back']);
  const { read_only, cap_drop, cap_add, privileged, user, tmpfs } = services.app;
  assert.deepEqual([read_only, cap_drop], [true, ['ALL']]);
  assert.deepEqual(
    [cap_add, privileged, user, tmpfs],
    [undefined, undefined, undefined, undefined],
  );
  assert.deepEqual(services.app.security_opt, ['no-new-privileges:true']);
  assert.ok(!services.proxy.networks.includes('back'));
  assert.equal(networks.back.internal, true);
  assert.equal(services.app.ports, undefined);
  assert.equal(services.app.environment.TRUST_PROXY, networks.front.ipam.config[0].subnet);
  for (const name of ['app', 'redis'])
    for (const secret of services[name].secrets)
      assert.match(secrets[secret].file, /^.\/secrets\//);
  assert.match(readFileSync(`${root}.gitignore`, 'utf8'), /^deploy\/docker\/secrets\/$/m);
  const all = JSON.stringify([services, variant]);
  assert.doesNotMatch(all, /SESSION_SECRET"|REDIS_URL|DATABASE_URL|:\/\/\w+:/);
});

it('production runs on the Node.js of the system or the image: npm installs none', () => {
  const { packages } = JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8'));
  const left = Object.keys(packages).filter(
    (name) => packages[name].optional && !packages[name].dev,
  );
  assert.ok(left.length > 0);
  // --omit=optional leaves out only Node.js, and a package that pg needs on Cloudflare.
  for (const name of left)
    assert.match(name, /^node_modules\/(node-(bin-)?\w+-\w+|pg-cloudflare)$/);
  let installs = 0;
  for (const file of ['README.md', ...globSync('{docs,deploy}/**/*', { cwd: root })]) {
    if (file.endsWith('.png') || statSync(root + file).isDirectory()) continue;
    const text = readFileSync(root + file, 'utf8');
    assert.doesNotMatch(text, /node_modules\/\.bin\/node/, file);
    for (const [command] of text.matchAll(/npm ci.*--omit=dev.*/g)) {
      assert.match(command, /npm ci --omit=dev --omit=optional/, file);
      installs += 1;
    }
  }
  assert.ok(installs >= 3);
});
