import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import bcrypt from 'bcrypt';
import { invalidField, Refusal } from '../http/refusal.ts';
import { type Client, fairQueue } from './fair-queue.ts';

const MIN_CHARACTERS = 15;
/** bcrypt ignores the rest, so longer passwords with the same beginning would match. */
const MAX_BYTES = 72;

// A hash that no password matches, at the usual cost, so that unknown accounts take the same work.
const NO_ACCOUNT = '$2b$12$C6UzMDM.H6dfI/f/IKcEeO7ZNTMZ2eIbXq9m8Xo0c3hB1m1kq5N1K';

// bcrypt keeps a core busy for 0.2 s or more, on one of libuv's four threads, which also read files.
// So one core and one thread stay free, and the queue has a limit.
const inTurn = fairQueue(
  Math.max(1, Math.min(3, availableParallelism() - 1)),
  30,
  () =>
    new Refusal(503, 'Too many people are logging in right now. Please try again in 10 s.', {
      'Retry-After': '10',
    }),
);

/** The operator's command, which has no queue to share. */
const NO_CLIENT: Client = { address: '', account: '', requirePresence: () => {} };

/**
 * The same password can have several Unicode forms, depending on the keyboard. NIST SP 800-63B asks
 * for a single one.
 */
const normalized = (password: string) => password.normalize('NFC');

// bcrypt repeats the password after a NUL, so "P" and "P\0P" match.
const isWhole = (password: string) =>
  Buffer.byteLength(password) <= MAX_BYTES && !password.includes('\0');

/**
 * Always compares, so that the time does not reveal whether the account exists or the password is
 * too long.
 * @param hash undefined if there is no such account
 * @throws Refusal 503 when too many others are waiting
 */
export async function verifyPassword(
  password: string,
  hash: string | undefined,
  client = NO_CLIENT,
): Promise<boolean> {
  const matches = async (form: string) => {
    const equal = await bcrypt.compare(form, hash ?? NO_ACCOUNT);
    return equal && hash !== undefined && isWhole(form);
  };
  return inTurn(client, async () => {
    if (await matches(normalized(password))) return true;
    // Hashes from before passwords were normalized. Unknown accounts take this work, too.
    return password !== normalized(password) && matches(password);
  });
}

/** @throws Refusal 503 as `verifyPassword` does */
export async function hashPassword(
  password: string,
  cost: number,
  client = NO_CLIENT,
): Promise<string> {
  // An older password may become too long when it is normalized.
  const form = isWhole(normalized(password)) ? normalized(password) : password;
  return inTurn(client, () => bcrypt.hash(form, cost));
}

export const upToDateHash = async (
  hash: string,
  password: string,
  cost: number,
  client: Client,
): Promise<string> => (bcrypt.getRounds(hash) < cost ? hashPassword(password, cost, client) : hash);

// Its first line names its source.
const COMMON_FILE = join(import.meta.dirname, 'common-passwords.txt');
const [, commonList = ''] = readFileSync(COMMON_FILE, 'utf8').split('\n');
const COMMON = new Set(commonList.split(' '));

/** @throws Refusal 422 naming the field, and why the password is too easy to guess */
export function requireGoodPassword(
  field: string,
  password: string,
  { name, email }: { name: string; email: string },
): void {
  const [mailbox = ''] = email.split('@', 1);
  const problem = problemOf(normalized(password), ['cloakroom', normalized(name), mailbox]);
  if (problem) throw invalidField(field, problem);
}

function problemOf(password: string, names: readonly string[]): string | undefined {
  if (Array.from(password).length < MIN_CHARACTERS)
    return `must have at least ${MIN_CHARACTERS} characters: a few words work well`;
  const bytes = Buffer.byteLength(password);
  if (bytes > MAX_BYTES)
    return `is too long: the limit is ${MAX_BYTES} bytes (${MAX_BYTES} plain letters), and this one has ${bytes}`;
  if (password.includes('\0')) return 'must not contain a NUL character';
  const lower = password.toLowerCase();
  if (COMMON.has(lower)) return 'is too common: attackers try it first';
  const words = names.flatMap((name) => name.toLowerCase().split(/[^\p{L}\p{N}]+/u));
  const name = words.find((word) => word.length >= 3 && lower.includes(word));
  return name && `must not contain “${name}”: attackers try names first`;
}
