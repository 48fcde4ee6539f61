// Load with `node --import`. It makes password hashing almost free in that process and changes
// nothing else about passwords. Tests of the cost do not load it.
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
  // Every hash looks up to date, so log-in never hashes a password again.
  getRounds: () => 12,
});

// The app may be a copy of the project, and then its modules are copies, too.
const demoData = pathToFileURL(resolve('config/demo-data.ts')).href;
const { demoAccounts }: typeof import('../config/demo-data.ts') = await import(demoData);
for (const account of demoAccounts) account.passwordHash = await hash(account.password, COST);
