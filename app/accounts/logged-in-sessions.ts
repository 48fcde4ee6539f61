import type { Request } from 'express';
import {
  newSessionId,
  type Renewal,
  renewSession,
  type SessionDraft,
  SessionGone,
  type SessionRecord,
  sessionHandle,
} from '../session/index.ts';
import type { Account, Accounts, LogIn } from './accounts.ts';

export const MAX_SESSIONS = 10;

/** The account lists a session before the store has it. For this long it counts as present. */
const SETTLING_MS = 60_000;

/** The `at` of a session that is about to get a new id: so old that the next log-in drops it. */
const AT_RENEWAL = 0;

export const isLoggedIn = (account: Account, handle: string) =>
  !account.disabled && Object.hasOwn(account.sessions, handle);

/** For the open streams of a session. `identify` checks ordinary requests. */
export const isRevoked =
  (accounts: Accounts) =>
  async ({ user }: SessionRecord, handle: string) => {
    const account = user && (await accounts.find(user.email));
    return user !== undefined && !(account?.id === user.id && isLoggedIn(account, handle));
  };

/**
 * Adds a session. If the account is full, ends the one that has been idle longest. A session that is not in
 * `stored` has ended, unless it began less than a minute ago.
 */
export function withSession(
  account: Account,
  handle: string,
  logIn: LogIn,
  stored: ReadonlyMap<string, { lastSeenAt: number }> = new Map(),
  oldHandle = '',
): Account {
  const usedAt = ([each, { at }]: [string, LogIn]) => stored.get(each)?.lastSeenAt ?? at;
  const others = Object.entries(account.sessions)
    .filter(([each, { at }]) => stored.has(each) || logIn.at - at < SETTLING_MS)
    .filter(([each]) => each !== oldHandle)
    .toSorted((a, b) => usedAt(b) - usedAt(a))
    .slice(0, MAX_SESSIONS - 1);
  const kept = Object.fromEntries(others);
  const sessions = { ...kept, ...aboutToRenew(account, oldHandle), [handle]: logIn };
  return { ...account, sessions, logIns: [...account.logIns.slice(-1), logIn] };
}

export function withOnlySession(account: Account, oldHandle: string, handle: string): Account {
  const { [oldHandle]: logIn } = account.sessions;
  const sessions = { ...(logIn && { [handle]: logIn }), ...aboutToRenew(account, oldHandle) };
  return { ...account, sessions };
}

export function withoutSessions(account: Account, ends: (handle: string) => boolean): Account {
  const left = Object.entries(account.sessions).filter(([handle]) => !ends(handle));
  return { ...account, sessions: Object.fromEntries(left) };
}

/** The old handle stays listed, so that requests on their way are not taken for a guest's. */
function aboutToRenew({ sessions }: Account, handle: string) {
  const { [handle]: logIn } = sessions;
  return logIn && { [handle]: { ...logIn, at: AT_RENEWAL } };
}

/**
 * The account lists the new handle before the session exists. If `admit` throws, the session is
 * never created.
 */
export async function renewLoggedIn<T>(
  req: Request,
  admit: (handle: string) => Promise<T>,
  carry: (old: SessionRecord | undefined, admitted: T) => SessionDraft,
  how: Pick<Renewal, 'persistent' | 'device'> = {},
): Promise<T> {
  const id = newSessionId();
  const admitted = await admit(sessionHandle(id));
  const renewal = renewSession(req, (old) => carry(old, admitted), { ...how, id });
  // `carry` throws SessionGone if the user has logged out. The change to the account stands.
  await renewal.catch((error: unknown) => {
    if (!(error instanceof SessionGone)) throw error;
  });
  return admitted;
}
