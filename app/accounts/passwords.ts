import { availableParallelism } from 'node:os';
import bcrypt from 'bcrypt';
import pLimit from 'p-limit';
import { Refusal } from '../errors.ts';

/** bcrypt reads no further: a longer password would match any other with the same beginning. */
const MAX_BYTES = 72;

// A hash of something nobody types, at the accounts' own cost, 12: the work for those that do not
// exist.
const NOBODY = '$2b$12$C6UzMDM.H6dfI/f/IKcEeO7ZNTMZ2eIbXq9m8Xo0c3hB1m1kq5N1K';

// bcrypt keeps a core busy for 0.2 s and more: one core stays free for everything else, and who
// would wait longer than some seconds is told so instead.
const work = pLimit(Math.max(1, availableParallelism() - 1));
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
  return equal && hash !== undefined && Buffer.byteLength(password) <= MAX_BYTES;
}
