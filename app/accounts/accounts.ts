import type { SessionUser } from '../session/session-data.ts';

export type Account = {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly passwordHash: string;
};

export type Accounts = { findByEmail(email: string): Promise<Account | undefined> };

/** Accounts from a fixed list, as the demo has them. */
export function fixedAccounts(accounts: readonly Account[]): Accounts {
  const byEmail = new Map(accounts.map((account) => [account.email, account]));
  return { findByEmail: async (email) => byEmail.get(email.trim().toLowerCase()) };
}

/** What a session and a page may know of an account: built by name, so nothing slips in. */
export const sanitizedUser = ({ id, email, name }: Account): SessionUser => ({ id, email, name });
