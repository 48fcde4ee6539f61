import { availableParallelism } from 'node:os';
import bcrypt from 'bcrypt';
import pLimit from 'p-limit';
import { Refusal } from '../errors.ts';

/** bcrypt reads no further: a longer password would match any other with the same beginning. */
const MAX_BYTES = 72;

// A hash of something nobody types, at the accounts' own cost, 12: the work for those that do not
// exist.
const NOBODY = '$2b$12$C6UzMDM.H6dfI/f/IKcEeO7ZNTMZ2eIbXq9m8Xo0c3hB1m1kq5N1K';

// bcrypt keeps a core busy for 0.2 s and more, on one of libuv's four threads, which also read the
// files: a core and a thread stay free, and whoever would wait for long is told so instead.
const work = pLimit(Math.max(1, Math.min(3, availableParallelism() - 1)));
const MOST_WAITING = 30;

/**
 * Compares by bcrypt in any case: whoever measures the time learns neither whether the account
 * exists nor whether the password is too long.
 * @param hash undefined: there is no such account
 * @throws Refusal 503 when too many are waiting already
 */
export async function verifyPassword(password: string, hash: string | undefined): Promise<boolean> {
  if (work.pendingCount >= MOST_WAITING)
    throw new Refusal(503, 'Too many people are logging in right now. Please try again.', {
      'Retry-After': '10',
    });
  const equal = await work(() => bcrypt.compare(password, hash ?? NOBODY));
  // To bcrypt, a NUL and what follows it are the password once more.
  const whole = Buffer.byteLength(password) <= MAX_BYTES && !password.includes('\0');
  return equal && hash !== undefined && whole;
}
