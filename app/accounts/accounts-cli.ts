// npm run accounts: see USAGE. What it changes on the running store holds from the next request on.

import { randomBytes } from 'node:crypto';
import { demoAccounts } from '../../config/demo-data.ts';
import { loadEnvFile, readConfig } from '../../config/environment.ts';
import { redisBackend } from '../session/index.ts';
import { createDocuments } from '../storage/documents.ts';
import { connectRedis, whenConnected } from '../storage/redis-client.ts';
import { createAccounts, identityOf, newAccount } from './accounts.ts';
import { hashPassword } from './passwords.ts';

const USAGE = `npm run accounts -- list
                    add EMAIL NAME       prints a password, to be changed within a week
                    disable EMAIL        ends its sessions, and lets nobody log in
                    enable EMAIL
                    end-sessions EMAIL   or --all
`;
const WEEK_MS = 7 * 24 * 3_600_000;
const PREFIX = 'doc:account:';

const say = (...columns: string[]) => process.stdout.write(`${columns.join('\t')}\n`);

async function run([command = '', ...args]: string[]): Promise<void> {
  const redis = connectRedis(config.redis, () => {});
  try {
    await whenConnected(redis, 3000);
    await redis.check();
    const documents = createDocuments(redisBackend(redis, 'doc:'));
    const accounts = createAccounts(documents, config.demoAccounts ? demoAccounts : []);
    const all = async () => {
      const keys = await redis.keys(PREFIX);
      const found = await Promise.all(keys.map((key) => accounts.byKey(key.slice(PREFIX.length))));
      return found.filter((account) => account !== undefined);
    };
    const named = async (email = '') => {
      const account = await accounts.find(email);
      if (!account) throw new Error(`There is no account ${email}`);
      return account;
    };

    if (command === 'list') {
      for (const { email, name, disabled, sessions } of await all()) {
        const count = Object.keys(sessions).length;
        say(email, name, disabled ? 'disabled' : 'enabled', `at most ${count} logged in`);
      }
    } else if (command === 'add') {
      const who = identityOf(args[0] ?? '', args[1] ?? '');
      const password = randomBytes(15).toString('base64url');
      const passwordHash = await hashPassword(password, 12);
      const temporary = { passwordHash, passwordExpiresAt: Date.now() + WEEK_MS };
      const made = await accounts.create({ ...newAccount({ ...who, passwordHash }), ...temporary });
      const there = made ? undefined : await accounts.find(who.email);
      // A password that was never changed may be lost, or too old: it is made anew.
      if (!made && there?.passwordExpiresAt === undefined)
        throw new Error(`${who.email} has an account already`);
      if (there)
        await accounts.change(there, (a) => {
          const passwordChanges = a.passwordChanges + 1;
          return { ...a, ...temporary, passwordChanges, sessions: {} };
        });
      const what = there ? 'has a new password; the one before is void' : 'is added';
      say(`${who.email} ${what}. Password: ${password}`);
    } else if (command === 'enable') {
      const account = await named(args[0]);
      await accounts.change(account, (now) => ({ ...now, disabled: false }));
      say(`${account.email} is enabled`);
    } else {
      const shut = command === 'disable';
      const effect = `all sessions are ended${shut ? ', and nobody can log in' : ''}`;
      for (const account of !shut && args[0] === '--all' ? await all() : [await named(args[0])]) {
        const change = { sessions: {}, ...(shut && { disabled: true }) };
        await accounts.change(account, (now) => ({ ...now, ...change }));
        say(`${account.email}: ${effect}`);
      }
    }
  } finally {
    redis.close();
  }
}

loadEnvFile();
const { env } = process;
const usual = env.NODE_ENV === 'production' ? { SESSION_STORE: 'redis', DEMO_ACCOUNTS: 'off' } : {};
const named = ['SESSION_STORE', 'REDIS_URL', 'DEMO_ACCOUNTS'].filter((name) => env[name]);
const config = readConfig({ ...usual, ...Object.fromEntries(named.map((n) => [n, env[n]])) });
const [, , command = '', ...rest] = process.argv;
const wanted = { list: 0, add: 2, disable: 1, enable: 1, 'end-sessions': 1 }[command];

if (wanted !== rest.length) {
  process.stderr.write(USAGE);
  process.exitCode = 2;
} else if (config.store === 'memory') {
  process.stderr.write('These accounts are in the memory of the server. Set SESSION_STORE=redis\n');
  process.exitCode = 1;
} else {
  await run([command, ...rest]).catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    process.exitCode = 1;
  });
}
