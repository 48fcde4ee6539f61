import { createHash } from 'node:crypto';
import type { Request, RequestHandler } from 'express';
import {
  ipKeyGenerator,
  MemoryStore,
  type Options,
  rateLimit,
  type Store,
} from 'express-rate-limit';
import { isNew, isStored } from '../session/index.ts';
import { Refusal } from './refusal.ts';

const MINUTE = 60_000;

export type FloodLimits = { newSessions: number; cartChanges: number };

/**
 * Per minute, for one address or for one session. Generous, and counted in each process: they bound
 * what one client can make the store hold and do, and cost nothing to visitors with a session.
 */
const FLOOD_LIMITS: FloodLimits = { newSessions: 10_000, cartChanges: 3000 };

type LimitOptions = {
  /** Stores the counts that all processes share. Absent: each process counts for itself. */
  sharedHits?: ((name: string) => Store) | undefined;
  floodLimits?: FloodLimits | undefined;
  /** The email address of the account that is logged in. */
  userEmail: (req: Request) => string | undefined;
};

export type Limits = ReturnType<typeof rateLimits>;

/**
 * Limits against guessing and flooding. Each answers 429 with Retry-After. An address is the one that
 * `trust proxy` yields; of an IPv6 address, its /56.
 */
export function rateLimits({ sharedHits, floodLimits = FLOOD_LIMITS, userEmail }: LimitOptions) {
  const hits = (name: string) => sharedHits?.(name) ?? new MemoryStore();
  const addressHits = hits('address');
  const accountHits = hits('account');

  // With the address in the key, nobody can lock an account for its owner, who is elsewhere.
  const byAccount = (emailOf: (req: Request) => unknown) =>
    limitAnswers(403, {
      store: accountHits,
      limit: 10,
      keyGenerator: (req) => `${emailHash(emailOf(req))}:${addressOf(req)}`,
    });
  const byAddress = limitAnswers(403, { store: addressHits, limit: 100 });
  const newSession = limit({ windowMs: MINUTE, limit: floodLimits.newSessions });

  return {
    /** At log-in: the form names the account. */
    logIn: [byAddress, byAccount((req) => req.body?.email)],
    /** Where a user types the password again: the session names the account, whatever is sent. */
    password: [byAddress, byAccount(userEmail)],
    /** A registration costs a hash, and tells whether an address has an account. */
    register: [
      limit({ windowMs: 3 * MINUTE, store: hits('register'), limit: 100 }),
      limitAnswers(409, { store: hits('taken'), limit: 10 }),
    ],
    /** For a page that begins a session with every new visitor. */
    newVisitors: onlyWhen((req) => isNew(req.session) && !hasLostSession(req), newSession),
    /** For all pages: each begins a session to say that the old one is gone. */
    lostSessions: onlyWhen(hasLostSession, newSession),
    lab: limit({ windowMs: MINUTE, limit: 30 }),
    cartChanges: limit({
      windowMs: MINUTE,
      limit: floodLimits.cartChanges,
      keyGenerator: (req) => (isStored(req.session) ? req.sessionID : addressOf(req)),
    }),
  };
}

const hasLostSession = (req: Request) => isNew(req.session) && req.session.flash !== undefined;

/** Not the limiter's own `skip`, which looks at the address even when it skips. */
const onlyWhen =
  (applies: (req: Request) => boolean, limiter: RequestHandler): RequestHandler =>
  (req, res, next) =>
    applies(req) ? limiter(req, res, next) : next();

/** Counts answers of one status only, before the work: of a hundred at once, ten reach bcrypt. */
const limitAnswers = (status: number, options: Partial<Options>) =>
  limit({
    windowMs: 3 * MINUTE,
    skipSuccessfulRequests: true,
    requestWasSuccessful: (_req, res) => res.statusCode !== status,
    ...options,
  });

const limit = (options: Partial<Options>) =>
  rateLimit({
    legacyHeaders: false,
    standardHeaders: false,
    keyGenerator: addressOf,
    validate: false, // its advice about proxies is not needed: the app gives its own
    handler: (req, _res, next) => {
      const { resetTime } = (req as Request & { rateLimit: { resetTime?: Date } }).rateLimit;
      const seconds = Math.max(1, Math.ceil((Number(resetTime ?? 0) - Date.now()) / 1000));
      const headers = { 'Retry-After': String(seconds) };
      next(new Refusal(429, `Too many requests. Please wait ${seconds} seconds.`, headers));
    },
    ...options,
  });

const addressOf = (req: Request) => ipKeyGenerator(req.ip ?? '');

/** A hash, so that the counts hold no email address. */
function emailHash(email: unknown): string {
  const normal = typeof email === 'string' ? email.trim().toLowerCase() : '';
  return createHash('sha256').update(normal).digest('base64url');
}
