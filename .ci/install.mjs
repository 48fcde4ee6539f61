// Installs what is missing: the npm packages and, with --with-services, what the tests start.
// Runs before Node 26 is there: plain JavaScript for Node 20, without dependencies.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join, resolve, sep } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const bin = join(root, 'node_modules', '.bin');
const shell = process.platform === 'win32'; // npm and node are .cmd files there.
const path = (process.env.PATH ?? '').split(delimiter);

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

/** Runs a command; its output is shown only if it fails. */
function run(command, args, options = {}) {
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 100_000_000,
    ...options,
  });
  if (status !== 0) process.stderr.write(error ? `${error}\n` : stdout + stderr);
  return status === 0;
}

const withServices = process.argv.includes('--with-services');

/** For the tests, which nobody watches, tries again: a network fails, a lock is held. */
function persist(attempt) {
  for (const seconds of withServices ? [5, 20, 60] : []) {
    if (attempt()) return true;
    process.stdout.write(`Trying again in ${seconds} s ...\n`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, seconds * 1000);
  }
  return attempt();
}

function isRunnable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whether node_modules holds what package-lock.json says; npm writes down what it installs. */
function hasPackages() {
  try {
    const read = (...names) => JSON.parse(readFileSync(join(root, ...names), 'utf8')).packages;
    const installed = read('node_modules', '.package-lock.json');
    const { '': _project, ...locked } = read('package-lock.json');
    // An optional package that is absent is made for another platform.
    return Object.entries(locked).every(([name, { version, optional }]) =>
      installed[name] ? installed[name].version === version : optional,
    );
  } catch {
    return false;
  }
}

/** Whether the npm scripts find a Node 26: the project's own, else the system's. */
function hasNode() {
  const env = { ...process.env, PATH: [bin, ...path].join(delimiter) };
  const { stdout } = spawnSync('node', ['--version'], { env, shell, encoding: 'utf8' });
  return Number(/^v(\d+)/.exec(stdout ?? '')?.[1]) >= 26;
}

function installPackages() {
  process.stdout.write('Installing npm packages, about 450 MB, once ...\n');
  // npm may replace the Node in node_modules: it must not run on that one.
  const elsewhere = path.filter((dir) => !dir.endsWith(join(sep, 'node_modules', '.bin')));
  const env = { ...process.env, PATH: elsewhere.join(delimiter) };
  try {
    accessSync(homedir(), constants.W_OK);
  } catch {
    env.npm_config_cache = join(tmpdir(), 'cloakroom-npm'); // else in the project, or nowhere
  }
  // Not npm ci, which refuses a lockfile that lacks an optional package of another platform.
  const args = ['install', '--no-save', '--include=dev', '--include=optional'];
  if (!persist(() => run('npm', args, { env, shell })))
    fail('npm install failed: its message is above.');
}

const applications = ['Chromium', 'Google Chrome'].map(
  (name) => `/Applications/${name}.app/Contents/MacOS/${name}`,
);
// What to look for, and what brings it.
const services = [
  { any: ['redis-server'], apt: 'redis-server', brew: 'redis' },
  { any: ['redis-sentinel'], apt: 'redis-sentinel', brew: 'redis' },
  { any: ['redis-cli'], apt: 'redis-tools', brew: 'redis' },
  { any: ['nginx'], apt: 'nginx-light', brew: 'nginx' },
  { any: ['caddy'], apt: 'caddy', brew: 'caddy' },
  { any: ['openssl'], apt: 'openssl', brew: 'openssl' },
  { any: ['curl'], apt: 'curl', brew: 'curl' },
  {
    any: ['chromium', 'chromium-browser', 'google-chrome', ...applications],
    apt: 'chromium',
    brew: 'chromium',
  },
  // Only Linux has it: elsewhere its test is not there either.
  ...(process.platform === 'linux' ? [{ any: ['systemd-analyze'], apt: 'systemd' }] : []),
];

function missingServices() {
  // Debian keeps servers in /usr/sbin, which a normal user's PATH may lack.
  const dirs = [...path, '/usr/sbin', '/usr/local/sbin'];
  const isThere = (name) => dirs.some((dir) => isRunnable(resolve(dir, name)));
  return services.filter(({ any }) => !any.some(isThere));
}

function installWithApt(packages) {
  const isRoot = process.getuid() === 0;
  if (!isRoot && spawnSync('sudo', ['-n', 'true']).status !== 0) return;
  const asRoot = (...command) => {
    const [program, ...args] = isRoot ? command : ['sudo', '-n', ...command];
    return run(program, args);
  };
  process.stdout.write(`Installing ${packages.join(', ')} ...\n`);
  // A new machine may be installing updates by itself: for the lock of dpkg, apt-get can wait.
  const patience = ['-o', 'DPkg::Lock::Timeout=600', '-o', 'Acquire::Retries=5'];
  const aptGet = (...args) =>
    asRoot('env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-qq', ...patience, ...args);
  persist(() => {
    aptGet('update');
    return aptGet('install', '-y', '--no-install-recommends', ...packages);
  });
  // Debian starts a server that it installs; the tests start their own.
  for (const service of ['redis-server', 'redis-sentinel', 'nginx-light', 'caddy']) {
    if (!packages.includes(service)) continue;
    const name = service.replace('-light', '');
    if (isRunnable('/usr/sbin/service')) asRoot('service', name, 'stop');
    if (isRunnable('/usr/sbin/update-rc.d')) asRoot('update-rc.d', name, 'disable');
  }
}

function installServices(missing) {
  const unique = (packages) => [...new Set(packages)];
  const aptPackages = unique(missing.map(({ apt }) => apt));
  if (isRunnable('/usr/bin/apt-get')) return installWithApt(aptPackages);
  const brew = ['/opt/homebrew/bin/brew', '/usr/local/bin/brew'].find(isRunnable);
  if (process.platform !== 'darwin' || !brew) return;
  process.stdout.write('Installing with brew ...\n');
  const [casks, formulas] = [true, false].map((isCask) =>
    unique(missing.map((service) => service.brew).filter((n) => (n === 'chromium') === isCask)),
  );
  if (formulas.length > 0) run(brew, ['install', ...formulas]);
  if (casks.length > 0) run(brew, ['install', '--cask', ...casks]);
}

if (process.argv.includes('--check')) {
  if (!hasNode()) fail('Node.js 26 is missing. It comes with the packages: npm install --omit=dev');
  process.exit();
}
if (!hasPackages() || !hasNode()) installPackages();
if (!hasNode()) fail('No Node.js 26 for this platform among the npm packages: install Node.js 26.');

if (withServices) {
  const missing = missingServices();
  if (missing.length > 0) installServices(missing);
  const names = missingServices().map(({ any: [name] }) => name);
  if (names.length > 0) fail(`The tests need these, please install them: ${names.join(', ')}`);
}
