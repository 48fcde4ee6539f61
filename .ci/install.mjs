// Installs what is missing:
//   (no option)      the npm packages that the app needs to run
//   --with-tools     also the packages of the tests and checks
//   --with-services  also the programs that the tests start
//   --check          nothing; fails if there is no Node.js 26
// This runs before Node.js 26 is installed, so it is plain JavaScript for Node.js 20, without
// dependencies.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join, resolve, sep } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const bin = join(root, 'node_modules', '.bin');
const isWindows = process.platform === 'win32';
const path = (process.env.PATH ?? '').split(delimiter);
// npm must not run on the Node.js in node_modules, which it may replace.
const systemPath = path.filter((dir) => !dir.endsWith(join(sep, 'node_modules', '.bin')));
const env = { ...process.env, PATH: systemPath.join(delimiter) };
try {
  accessSync(homedir(), constants.W_OK);
} catch {
  env.npm_config_cache = join(tmpdir(), 'cloakroom-npm');
}
const withServices = process.argv.includes('--with-services');
const installed = packagesIn('node_modules', '.package-lock.json');
const needsTools = withServices || process.argv.includes('--with-tools');

if (process.argv.includes('--check')) {
  if (!hasNode()) fail('Node.js 26 is missing. Install it, or get it from npm: npm ci --omit=dev');
} else {
  if (!hasPackages() || !hasNode()) installPackages();
  if (!hasNode()) fail('npm has no Node.js 26 for this platform. Please install Node.js 26.');
  if (withServices) installServices();
}
if (isWindows) {
  // The npm scripts start with exec, so that a signal reaches the server and not only npm's shell.
  // cmd.exe has no exec, so this file stands in for it.
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, 'exec.cmd'), '@%*\r\n');
}

/** The packages that a lockfile of npm lists, or undefined if there is none. */
function packagesIn(...file) {
  try {
    const { packages } = JSON.parse(readFileSync(join(root, ...file), 'utf8'));
    delete packages['']; // the project itself
    return packages;
  } catch {
    return undefined;
  }
}

function hasPackages() {
  const locked = packagesIn('package-lock.json');
  if (!installed || !locked) return false;
  return Object.entries(locked).every(([name, { version, dev, optional }]) => {
    if (dev && !needsTools) return true;
    // An optional package that is absent is for another platform.
    return installed[name] ? installed[name].version === version : optional;
  });
}

/** Whether the npm scripts find a Node.js 26. */
function hasNode(dirs = [bin, ...systemPath]) {
  const options = { env: { ...env, PATH: dirs.join(delimiter) }, shell: isWindows };
  const { stdout } = spawnSync('node', ['--version'], { ...options, encoding: 'utf8' });
  return Number(/^v(\d+)/.exec(stdout)?.[1]) >= 26;
}

function installPackages() {
  // Installed tools stay: `npm run dev` must not remove what `npm test` needs.
  const withTools = needsTools || Object.values(installed ?? {}).some(({ dev }) => dev);
  // The tools are optional packages, one for each platform. So is Node.js, which is the only optional
  // package that the app itself needs.
  const withOptional = withTools || !hasNode(systemPath);
  const megabytes = withTools ? 490 : withOptional ? 250 : 40;
  print(`Installing npm packages, about ${megabytes} MB, once ...`);
  // npm ci deletes node_modules first, which `npm run dev` may be using in another terminal.
  const install = installed ? ['install', '--no-save'] : ['ci'];
  const dev = withTools ? '--include=dev' : '--omit=dev';
  const optional = withOptional ? '--include=optional' : '--omit=optional';
  if (!withRetries(() => run('npm', ...install, dev, optional)))
    fail('npm failed. Its message is above.');
}

function installServices() {
  const missing = missingPrograms();
  const brew = ['/opt/homebrew/bin/brew', '/usr/local/bin/brew'].find(isRunnable);
  const packages = (manager) => [...new Set(missing.map((program) => program[manager]))];
  if (missing.length === 0) return;
  if (isRunnable('/usr/bin/apt-get')) installWithApt(packages('apt'));
  else if (process.platform === 'darwin' && brew) {
    print('Installing with Homebrew ...');
    run(brew, 'install', ...packages('brew'));
  }
  const names = missingPrograms().map(({ anyOf }) => anyOf[0]);
  if (names.length > 0) fail(`The tests need these programs. Please install: ${names.join(', ')}`);
}

function missingPrograms() {
  const chromium = ['chromium', 'chromium-browser', 'google-chrome'];
  for (const name of ['Chromium', 'Google Chrome'])
    chromium.push(`/Applications/${name}.app/Contents/MacOS/${name}`);
  const programs = [
    { anyOf: ['redis-server'], apt: 'redis-server', brew: 'redis' },
    { anyOf: ['redis-sentinel'], apt: 'redis-sentinel', brew: 'redis' },
    { anyOf: ['redis-cli'], apt: 'redis-tools', brew: 'redis' },
    { anyOf: ['postgres'], apt: 'postgresql', brew: 'postgresql@17' },
    { anyOf: ['mariadbd'], apt: 'mariadb-server', brew: 'mariadb' },
    { anyOf: ['memcached'], apt: 'memcached', brew: 'memcached' },
    { anyOf: ['nginx'], apt: 'nginx-light', brew: 'nginx' },
    { anyOf: ['caddy'], apt: 'caddy', brew: 'caddy' },
    { anyOf: ['prometheus'], apt: 'prometheus', brew: 'prometheus' },
    { anyOf: ['openssl'], apt: 'openssl', brew: 'openssl' },
    { anyOf: ['curl'], apt: 'curl', brew: 'curl' },
    { anyOf: chromium, apt: 'chromium', brew: 'chromium' },
  ];
  if (process.platform === 'linux') programs.push({ anyOf: ['systemd-analyze'], apt: 'systemd' });
  // Other systems have no package of it, and the tests do without.
  const headless = 'chromium-headless-shell';
  if (isDebian()) programs.push({ anyOf: [headless], apt: headless });
  // Debian keeps servers in /usr/sbin, which is often not in the PATH. PostgreSQL is in neither.
  const dirs = [...path, '/usr/sbin', '/usr/local/sbin'];
  for (const version of [14, 15, 16, 17, 18]) dirs.push(`/usr/lib/postgresql/${version}/bin`);
  for (const opt of ['/opt/homebrew/opt', '/usr/local/opt']) dirs.push(`${opt}/postgresql@17/bin`);
  const isThere = (name) => dirs.some((dir) => isRunnable(resolve(dir, name)));
  return programs.filter(({ anyOf }) => !anyOf.some(isThere));
}

function isDebian() {
  try {
    return /^ID=debian$/m.test(readFileSync('/etc/os-release', 'utf8'));
  } catch {
    return false;
  }
}

function installWithApt(packages) {
  const sudo = process.getuid() === 0 ? [] : ['sudo', '-n'];
  const asRoot = (...command) => run(...sudo, ...command);
  if (!asRoot('true')) return;
  print(`Installing ${packages.join(', ')} ...`);
  // A new machine may be installing updates: wait for its lock.
  const patience = ['-o', 'DPkg::Lock::Timeout=600', '-o', 'Acquire::Retries=5'];
  const aptGet = (...args) =>
    asRoot('env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-qq', ...patience, ...args);
  withRetries(() => {
    aptGet('update');
    return aptGet('install', '-y', '--no-install-recommends', ...packages);
  });
  // Debian starts each server that it installs. The tests start their own.
  const servers = ['redis-server', 'redis-sentinel', 'nginx', 'caddy'];
  servers.push('postgresql', 'mariadb', 'memcached', 'prometheus');
  const justInstalled = packages.map((name) => name.replace(/-light|(?<=mariadb)-server/, ''));
  for (const server of servers.filter((name) => justInstalled.includes(name))) {
    asRoot('/usr/sbin/service', server, 'stop');
    asRoot('/usr/sbin/update-rc.d', server, 'disable');
  }
}

/** Retries only with --with-services: those commands often run unattended, and the network may fail. */
function withRetries(attempt) {
  for (const seconds of withServices ? [5, 20, 60] : []) {
    if (attempt()) return true;
    print(`Trying again in ${seconds} s ...`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, seconds * 1000);
  }
  return attempt();
}

/** Runs a command and shows its output if it fails. */
function run(command, ...args) {
  const options = { cwd: root, env, shell: isWindows, encoding: 'utf8', maxBuffer: 100_000_000 };
  const { status, error, stdout, stderr } = spawnSync(command, args, options);
  if (status !== 0) process.stderr.write(error ? `${error}\n` : stdout + stderr);
  return status === 0;
}

function isRunnable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function print(line) {
  process.stdout.write(`${line}\n`);
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
