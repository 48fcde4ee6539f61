import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import bcrypt from 'bcrypt';
import pLimit from 'p-limit';
import { invalidField, Refusal } from '../http/refusal.ts';

const MIN_BYTES = 15;
/** bcrypt reads no further: a longer password would match any other with the same beginning. */
const MAX_BYTES = 72;

// A hash of something nobody types, at the accounts' own cost, 12: the work for those that do not
// exist.
const NOBODY = '$2b$12$C6UzMDM.H6dfI/f/IKcEeO7ZNTMZ2eIbXq9m8Xo0c3hB1m1kq5N1K';

// bcrypt keeps a core busy for 0.2 s and more, on one of libuv's four threads, which also read the
// files: a core and a thread stay free, and whoever would wait for long is told so instead.
const work = pLimit(Math.max(1, Math.min(3, availableParallelism() - 1)));
const MOST_WAITING = 30;

function inLine<T>(job: () => Promise<T>): Promise<T> {
  if (work.pendingCount >= MOST_WAITING)
    throw new Refusal(503, 'Too many people are logging in right now. Please try again.', {
      'Retry-After': '10',
    });
  return work(job);
}

/**
 * Compares by bcrypt in any case: whoever measures the time learns neither whether the account
 * exists nor whether the password is too long.
 * @param hash undefined: there is no such account
 * @throws Refusal 503 when too many are waiting already
 */
export async function verifyPassword(password: string, hash: string | undefined): Promise<boolean> {
  const equal = await inLine(() => bcrypt.compare(password, hash ?? NOBODY));
  // To bcrypt, a NUL and what follows it are the password once more.
  const whole = Buffer.byteLength(password) <= MAX_BYTES && !password.includes('\0');
  return equal && hash !== undefined && whole;
}

/**
 * @param cost of bcrypt: each one more doubles the work
 * @throws Refusal 503 as `verifyPassword` does
 */
export const hashPassword = async (password: string, cost: number): Promise<string> =>
  inLine(() => bcrypt.hash(password, cost));

/** @returns the hash, or a new one where it was made when hashing cost less */
export const upToDate = async (hash: string, password: string, cost: number): Promise<string> =>
  bcrypt.getRounds(hash) < cost ? hashPassword(password, cost) : hash;

// The first line of the file says where the list is from.
const COMMON_FILE = join(import.meta.dirname, 'common-passwords.txt');
const [, commonList = ''] = readFileSync(COMMON_FILE, 'utf8').split('\n');
const COMMON = new Set(commonList.split(' '));

/**
 * The rules for a new password. There are none on what characters it has.
 * @param who whose names it must not hold: others try them first
 * @throws Refusal 422 with the reason, naming the field
 */
export function requireGoodPassword(
  field: string,
  password: string,
  who: { name: string; email: string },
): void {
  const [mailbox = ''] = who.email.split('@', 1);
  const problem = problemOf(password, ['cloakroom', who.name, mailbox]);
  if (problem) throw invalidField(field, problem);
}

function problemOf(password: string, names: readonly string[]): string | undefined {
  const bytes = Buffer.byteLength(password);
  if (bytes < MIN_BYTES) return `must have at least ${MIN_BYTES} bytes: a few words will do`;
  if (bytes > MAX_BYTES) return `must have at most ${MAX_BYTES} bytes: this one has ${bytes}`;
  if (password.includes('\0')) return 'must not hold a NUL character';
  const lower = password.toLowerCase();
  if (COMMON.has(lower)) return 'is one of the most common passwords, which are tried first';
  const parts = names.flatMap((name) => name.toLowerCase().split(/[^\p{L}\p{N}]+/u));
  const name = parts.find((part) => part.length >= 3 && lower.includes(part));
  return name && `must not hold “${name}”: names are tried first`;
}
