// For `node --import`: in that process a password costs next to nothing. Everything else about it
// stays as it is. Tests whose subject is the cost do without.
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import bcrypt from 'bcrypt';

const COST = 4;
const { hash, compare } = bcrypt;
Object.assign(bcrypt, {
  hash: (password: string) => hash(password, COST),
  // The hash that is compared for an unknown account is a constant of the app.
  compare: (password: string, stored: string) =>
    compare(password, stored.replace('$2b$12$', '$2b$04$')),
  // No hash is too cheap, so none is made anew at log-in.
  getRounds: () => 12,
});

// The app may be a copy of the project, and then its modules are copies, too.
const demoData = pathToFileURL(resolve('config/demo-data.ts')).href;
const { demoAccounts }: typeof import('../config/demo-data.ts') = await import(demoData);
for (const account of demoAccounts) account.passwordHash = await hash(account.password, COST);
