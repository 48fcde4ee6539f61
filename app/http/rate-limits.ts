import { createHash } from 'node:crypto';
import type { Request, RequestHandler } from 'express';
import {
  ipKeyGenerator,
  MemoryStore,
  type Options,
  rateLimit,
  type Store,
} from 'express-rate-limit';
import { canUpdateSession, isNew, isStored } from '../session/index.ts';
import { Refusal } from './refusal.ts';

const MINUTE = 60_000;

export type FloodLimits = { newSessions: number; cartChanges: number };

/** Per minute, for one address or session. Each process counts alone, which costs no round trip. */
const FLOOD_LIMITS: FloodLimits = { newSessions: 10_000, cartChanges: 3000 };

type LimitOptions = {
  /** Stores a limit that holds over all processes. Default: each process counts alone. */
  rateLimitStore?: ((name: string) => Store) | undefined;
  floodLimits?: FloodLimits | undefined;
  userEmail: (req: Request) => string | undefined;
};

export type Limits = ReturnType<typeof rateLimits>;

/** Limits against guessing and flooding. An IPv6 address counts with its /56. */
export function rateLimits({
  rateLimitStore = () => new MemoryStore(),
  floodLimits = FLOOD_LIMITS,
  userEmail,
}: LimitOptions) {
  const accountStore = rateLimitStore('account');

  // The address is part of the key: otherwise an attacker elsewhere could lock out the owner.
  const byAccount = (emailOf: (req: Request) => unknown) =>
    limitAnswers(403, {
      store: accountStore,
      limit: 10,
      keyGenerator: (req) => `${emailHash(emailOf(req))}:${addressOf(req)}`,
    });
  const byAddress = limitAnswers(403, { store: rateLimitStore('address'), limit: 100 });
  const newSession = limit({ windowMs: MINUTE, limit: floodLimits.newSessions });

  return {
    logIn: [byAddress, byAccount((req) => req.body?.email)],
    /** Where a user enters the password again. */
    password: [byAddress, byAccount(userEmail)],
    /** A registration costs a hash, and reveals whether an email address has an account. */
    register: [
      limit({ windowMs: 3 * MINUTE, store: rateLimitStore('register'), limit: 100 }),
      limitAnswers(409, { store: rateLimitStore('taken'), limit: 10 }),
    ],
    /** For a page that starts a session for each new visitor. */
    newVisitors: onlyWhen((req) => startsSession(req) && !hasLostSession(req), newSession),
    /** For all pages: each starts a session to say that the last one has ended. */
    lostSessions: onlyWhen(hasLostSession, newSession),
    lab: limit({ windowMs: MINUTE, limit: 30 }),
    cartChanges: limit({
      windowMs: MINUTE,
      limit: floodLimits.cartChanges,
      keyGenerator: (req) => (isStored(req.session) ? req.sessionID : addressOf(req)),
    }),
  };
}

const startsSession = (req: Request) => isNew(req.session) && canUpdateSession(req);
const hasLostSession = (req: Request) => startsSession(req) && req.session.flash !== undefined;

/** Unlike the limiter's own `skip`, it costs nothing when it skips. */
const onlyWhen =
  (applies: (req: Request) => boolean, limiter: RequestHandler): RequestHandler =>
  (req, res, next) =>
    applies(req) ? limiter(req, res, next) : next();

/** Counts each request before its handler runs, and takes back those with another status. */
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
    validate: false, // it checks the proxy settings, which the app does itself
    handler: (req, _res, next) => {
      const { resetTime } = (req as Request & { rateLimit: { resetTime?: Date } }).rateLimit;
      const seconds = Math.max(1, Math.ceil((Number(resetTime ?? 0) - Date.now()) / 1000));
      const wait = seconds < 60 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`;
      const message = `Too many requests. Please try again in ${wait}.`;
      next(new Refusal(429, message, { 'Retry-After': String(seconds) }));
    },
    ...options,
  });

const addressOf = (req: Request) => ipKeyGenerator(req.ip ?? '');

// The store holds no email address.
function emailHash(email: unknown): string {
  const normal = typeof email === 'string' ? email.trim().toLowerCase() : '';
  return createHash('sha256').update(normal).digest('base64url');
}
