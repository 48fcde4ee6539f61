import { hash, randomUUID } from 'node:crypto';
import { z } from 'zod';
import { invalidField } from '../http/refusal.ts';
import type { Document, Documents } from '../storage/documents.ts';

const logInShape = z.object({ at: z.number(), device: z.string(), address: z.string() });
export type LogIn = z.infer<typeof logInShape>;

const shape = {
  id: z.string(),
  email: z.string(),
  name: z.string(),
  passwordHash: z.string(),
  /** Not counting a password that is only hashed again. */
  passwordChanges: z.int(),
  /** Set for a temporary password only. */
  passwordExpiresAt: z.number().optional(),
  /** The authority over who is logged in: the handle of each session -> its log-in. */
  sessions: z.record(z.string(), logInShape),
  logIns: z.array(logInShape),
  disabled: z.boolean().optional(),
  demo: z.boolean().optional(),
};

export type Account = Document<z.infer<z.ZodObject<typeof shape>>>;
export type Edit = (current: Account) => Account;
export type DemoAccount = Pick<Account, 'id' | 'email' | 'name' | 'passwordHash'>;
export type Accounts = ReturnType<typeof createAccounts>;

/**
 * One document for each account, under the hash of its email address, so an address has at most one
 * account.
 * @param demo accounts that exist before they are stored. Their passwords are public, so a stored
 *   demo account is hidden when it is not in this list.
 */
export function createAccounts(documents: Documents, demo: readonly DemoAccount[] = []) {
  const stored = documents('account', shape);
  const demoByKey = new Map<string, Account>(
    demo.map((account) => [keyOf(account.email), { ...newAccount(account), demo: true }]),
  );

  const find = (email: string) => findByKey(keyOf(email));

  async function findByKey(key: string): Promise<Account | undefined> {
    const account = (await stored.read(key)) ?? demoByKey.get(key);
    return account?.demo && !demoByKey.has(key) ? undefined : account;
  }

  /** @returns undefined if the address already has an account */
  async function create(account: Account): Promise<Account | undefined> {
    const key = keyOf(account.email);
    if (demoByKey.has(key)) return undefined;
    const inStore = await stored.change(key, undefined, (existing) => existing ?? account);
    return inStore.id === account.id ? inStore : undefined;
  }

  const change = (account: Account, edit: Edit): Promise<Account> =>
    stored.change(keyOf(account.email), account, (current = account) => edit(current));

  return { find, findByKey, create, change };
}

/** Everything that a session and a page may know, field by field, so that nothing else gets in. */
export const sanitizedUser = ({ id, email, name }: Account) => ({ id, email, name });

/** Copied field by field, because the demo accounts carry their passwords. */
export const newAccount = ({ id, email, name, passwordHash }: DemoAccount): Account => ({
  id,
  email,
  name,
  passwordHash,
  passwordChanges: 0,
  sessions: {},
  logIns: [],
  version: 0,
});

/** @throws Refusal 422 unless a browser would accept the email, and a page can show the name */
export function checkedIdentity(email: string, name: string) {
  const identity = { id: `acct_${randomUUID()}`, email: normalEmail(email), name: name.trim() };
  if (identity.email.length > 254 || !z.regexes.html5Email.test(identity.email))
    throw invalidField('email', 'must be a valid email address');
  const problem = problemOfName(identity.name);
  if (problem) throw invalidField('name', problem);
  return identity;
}

// Joiners are allowed, because Persian, Sinhala and emoji need them. Bidi overrides are refused,
// because they would also reverse the text around a name.
const REFUSED_IN_NAMES = [
  [/\p{Cc}/u, 'a control character'],
  [/[\p{Zl}\p{Zp}]/u, 'a line break'],
  [/[\u202a-\u202e\u2066-\u2069]/u, 'which changes the direction of the text'],
  [/\p{Cs}/u, 'half a character'],
] as const;

function problemOfName(name: string): string | undefined {
  for (const [pattern, reason] of REFUSED_IN_NAMES) {
    const code = pattern.exec(name)?.[0].codePointAt(0);
    if (code === undefined) continue;
    return `must not contain U+${code.toString(16).toUpperCase().padStart(4, '0')}, ${reason}`;
  }
  const visible = /[^\p{Cf}\p{Z}\p{Default_Ignorable_Code_Point}]/u.test(name);
  return visible && Array.from(name).length <= 80 ? undefined : 'must have 1 to 80 characters';
}

export const canLogIn = ({ disabled, passwordExpiresAt = Infinity }: Account) =>
  !disabled && passwordExpiresAt >= Date.now();

const normalEmail = (email: string) => email.trim().toLowerCase();

const keyOf = (email: string) => hash('sha256', normalEmail(email), 'base64url');
