import { createHash, randomUUID } from 'node:crypto';
import { z } from 'zod';
import { invalidField } from '../http/refusal.ts';
import type { SessionRecord } from '../session/index.ts';
import type { Document, Documents } from '../storage/documents.ts';

const logInShape = z.object({ at: z.number(), device: z.string(), address: z.string() });
export type LogIn = z.infer<typeof logInShape>;

const shape = {
  id: z.string(),
  email: z.string(),
  name: z.string(),
  passwordHash: z.string(),
  /** Tells a changed password from one that was only hashed anew. */
  passwordChanges: z.int(),
  /** Set for a password that the operator made: it must be changed before, in ms since 1970. */
  passwordExpiresAt: z.number().optional(),
  /** The authority over who is logged in: handle of the session -> the log-in that began it. */
  sessions: z.record(z.string(), logInShape),
  /** The last two log-ins, so that a page can tell of the one that is not its own. */
  logIns: z.array(logInShape),
  disabled: z.boolean().optional(),
  /** One of the demo's, whose password is public. */
  demo: z.boolean().optional(),
};

export type Account = Document<z.infer<z.ZodObject<typeof shape>>>;
export type DemoAccount = Pick<Account, 'id' | 'email' | 'name' | 'passwordHash'>;

/** At most so many sessions of one account at a time. */
export const MOST_SESSIONS = 10;

/** A log-in under way may not have stored its session yet: within this time it is not missed. */
const SETTLING_MS = 60_000;

export type Accounts = ReturnType<typeof createAccounts>;

/**
 * Accounts, one document each, kept under the hash of the email address: so an address has one
 * account, and there is no index that could disagree.
 * @param demo accounts that are there without being stored, until they are first changed. Those of an
 *   earlier start are shut when this one has none: their passwords are public.
 */
export function createAccounts(documents: Documents, demo: readonly DemoAccount[] = []) {
  const stored = documents('account', shape);
  const demos = new Map(
    demo.map((who): [string, Account] => [who.email, { ...newAccount(who), demo: true }]),
  );

  async function find(email: string): Promise<Account | undefined> {
    const normal = normalEmail(email);
    return (await byKey(keyOf(normal))) ?? demos.get(normal);
  }

  /** By the key of its document, as the operator's commands find it. */
  async function byKey(key: string): Promise<Account | undefined> {
    const account = await stored.read(key);
    return account?.demo && !demos.has(account.email) ? undefined : account;
  }

  /** @returns undefined when the address has an account already */
  async function create(account: Account): Promise<Account | undefined> {
    if (demos.has(account.email)) return undefined;
    const kept = await stored.change(keyOf(account.email), undefined, (there) => there ?? account);
    return kept.id === account.id ? kept : undefined;
  }

  /**
   * @param account as it was read, however stale
   * @param edit as in `Documents`: its very argument back changes nothing
   */
  const change = (account: Account, edit: (current: Account) => Account): Promise<Account> =>
    stored.change(keyOf(account.email), account, (current = account) => edit(current));

  return { find, byKey, create, change };
}

type SessionUser = NonNullable<SessionRecord['user']>;

/** What a session and a page may know of an account: built by name, so nothing slips in. */
export const sanitizedUser = ({ id, email, name }: Account): SessionUser => ({
  id,
  email,
  name,
});

const normalEmail = (email: string) => email.trim().toLowerCase();

const keyOf = (email: string) => createHash('sha256').update(email).digest('base64url');

/** Built by name, too: a demo's has its password beside the hash. */
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

/**
 * Who a new account is for.
 * @throws Refusal 422 when the email address is none (by the rule that browsers have), or the name
 *   is not 1 to 80 characters
 */
export function identityOf(email: string, name: string) {
  const identity = { id: `acct_${randomUUID()}`, email: normalEmail(email), name: name.trim() };
  if (identity.email.length > 254 || !z.regexes.html5Email.test(identity.email))
    throw invalidField('email', 'must be an email address');
  if (!/^[^\p{C}]{1,80}$/u.test(identity.name))
    throw invalidField('name', 'must have 1 to 80 characters');
  return identity;
}

/** Whether nobody can log in, whatever the password. */
export const isShut = ({ disabled, passwordExpiresAt = Infinity }: Account) =>
  disabled === true || passwordExpiresAt < Date.now();

/** Whether the session with this handle is logged in. */
export const isLoggedIn = (account: Account, handle: string) =>
  !account.disabled && Object.hasOwn(account.sessions, handle);

/**
 * The account with one more session. Where there are ten, the one idle longest makes room.
 * @param lastSeen when its sessions were last used; one that is missing is over
 * @param replaced the session that gets the new handle, if it was the account's already: see `ending`
 */
export function withSession(
  account: Account,
  handle: string,
  logIn: LogIn,
  lastSeen: ReadonlyMap<string, number> = new Map(),
  replaced = '',
): Account {
  const usedAt = ([name, { at }]: [string, LogIn]) =>
    lastSeen.get(name) ?? (logIn.at - at < SETTLING_MS ? at : 0);
  const others = Object.entries(account.sessions)
    .filter((session) => session[0] !== replaced && usedAt(session) > 0)
    .toSorted((a, b) => usedAt(b) - usedAt(a))
    .slice(0, MOST_SESSIONS - 1);
  const kept = { ...Object.fromEntries(others), ...ending(account, replaced) };
  const sessions = { ...kept, [handle]: logIn };
  return { ...account, sessions, logIns: [...account.logIns.slice(-1), logIn] };
}

/**
 * A session that is about to get a new id, as its account keeps it for the requests that are still
 * under way under the old one: they are not to be taken for a guest's. The next log-in drops it.
 */
export function ending({ sessions }: Account, handle: string) {
  const session = sessions[handle];
  return session && { [handle]: { ...session, at: 0 } };
}

/** @param ended tells by its handle whether a session ends */
export function withoutSessions(account: Account, ended: (handle: string) => boolean) {
  const left = Object.entries(account.sessions).filter(([handle]) => !ended(handle));
  return { ...account, sessions: Object.fromEntries(left) };
}
