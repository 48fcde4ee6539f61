import bcrypt from 'bcrypt';

/** bcrypt reads no further: a longer password would match any other with the same beginning. */
const MAX_BYTES = 72;

// A hash of something nobody types, at the accounts' own cost, 12: the work for those that do not
// exist.
const NOBODY = '$2b$12$C6UzMDM.H6dfI/f/IKcEeO7ZNTMZ2eIbXq9m8Xo0c3hB1m1kq5N1K';

/**
 * Compares by bcrypt, whatever comes: who measures the time learns neither whether the account
 * exists nor whether the password is too long.
 * @param hash undefined: there is no such account
 */
export async function verifyPassword(password: string, hash: string | undefined): Promise<boolean> {
  const equal = await bcrypt.compare(password, hash ?? NOBODY);
  return equal && hash !== undefined && Buffer.byteLength(password) <= MAX_BYTES;
}
