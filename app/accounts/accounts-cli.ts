// npm run accounts: see USAGE.

import { randomBytes } from 'node:crypto';
import { nameOfDatabase } from '../../config/database-url.ts';
import { demoAccounts } from '../../config/demo-data.ts';
import { readCommandConfig } from '../../config/environment.ts';
import { createDocuments } from '../storage/documents.ts';
import { openDatabase, type Store } from '../storage/open-stores.ts';
import {
  type Account,
  type Accounts,
  checkedIdentity,
  createAccounts,
  newAccount,
} from './accounts.ts';
import { hashPassword } from './passwords.ts';

const USAGE = `npm run accounts -- list
                    add EMAIL NAME       prints a temporary password, valid for 7 days
                    disable EMAIL        ends its sessions and blocks log-in
                    enable EMAIL
                    end-sessions EMAIL   or --all`;
const WEEK_MS = 7 * 24 * 3_600_000;
/** How long the database may take for one answer: no visitor waits, and the first call has to connect. */
const PATIENCE_MS = 10_000;
const PREFIX = 'doc:account:';

async function run(
  database: Store,
  demo: typeof demoAccounts,
  [command, email = '', name = '']: string[],
): Promise<void> {
  const documents = createDocuments(database.backend('doc:'), { answerWithinMs: PATIENCE_MS });
  const accounts = createAccounts(documents, demo);
  const findAll = async () => {
    const keys = await database.keys(PREFIX);
    const found = keys.map((key) => accounts.findByKey(key.slice(PREFIX.length)));
    return (await Promise.all(found)).filter((account) => account !== undefined);
  };
  const change = async (outcome: string, edit: Partial<Account>) => {
    const all = command === 'end-sessions' && email === '--all';
    for (const account of all ? await findAll() : [await accounts.find(email)]) {
      if (!account) throw new Error(`No account has the email address ${email}`);
      await accounts.change(account, (current) => ({ ...current, ...edit }));
      print(`${account.email}: ${outcome}`);
    }
  };

  if (command === 'list') {
    for (const account of await findAll()) {
      const state = account.disabled ? 'disabled' : 'enabled';
      const count = `sessions: at most ${Object.keys(account.sessions).length}`;
      print([account.email, account.name, state, count].join('\t'));
    }
  } else if (command === 'add') print(await add(accounts, email, name));
  else if (command === 'enable') await change('enabled', { disabled: false });
  else if (command === 'end-sessions') await change('all sessions ended', { sessions: {} });
  else await change('all sessions ended, account disabled', { sessions: {}, disabled: true });
}

async function add(accounts: Accounts, email: string, name: string): Promise<string> {
  const password = randomBytes(15).toString('base64url');
  const passwordHash = await hashPassword(password, 12);
  const passwordExpiresAt = Date.now() + WEEK_MS;
  const account = newAccount({ ...checkedIdentity(email, name), passwordHash });
  const added = await accounts.create({ ...account, passwordExpiresAt });
  if (added) return `${added.email} was added. Password: ${password}`;
  const existing = await accounts.find(email);
  // A temporary password may be lost or expired, so another one replaces it.
  if (existing?.passwordExpiresAt === undefined)
    throw new Error(`${account.email} already has an account`);
  await accounts.change(existing, (current) => {
    const passwordChanges = current.passwordChanges + 1;
    return { ...current, passwordHash, passwordExpiresAt, passwordChanges, sessions: {} };
  });
  return `${account.email} has a new password; the old one no longer works. Password: ${password}`;
}

async function withDatabase(): Promise<void> {
  const config = readCommandConfig();
  process.stderr.write(`The database is ${nameOfDatabase(config.database)}\n`);
  const database = await openDatabase(config.database, () => {}, PATIENCE_MS);
  try {
    await run(database, config.demoAccounts ? demoAccounts : [], args);
  } finally {
    await database.close();
  }
}

const print = (line: string) => process.stdout.write(`${line}\n`);
const fail = (exitCode: number, message: string) => {
  process.stderr.write(`${message}\n`);
  process.exitCode = exitCode;
};

const args = process.argv.slice(2);
const arity = { list: 1, add: 3, disable: 2, enable: 2, 'end-sessions': 2 }[args[0] ?? ''];
if (args.length !== arity) fail(2, USAGE);
else await withDatabase().catch((error: unknown) => fail(1, String(error)));
