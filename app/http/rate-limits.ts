import { createHash } from 'node:crypto';
import type { Request, RequestHandler } from 'express';
import { ipKeyGenerator, type Options, rateLimit, type Store } from 'express-rate-limit';
import { Refusal } from './refusal.ts';

const MINUTE = 60_000;

export type FloodLimits = { newSessions: number; cartChanges: number };

/**
 * A minute's worth for one address, or for one session. Generous, and counted in each process: they
 * bound what one client can make the store hold and do, at no cost to who has a session.
 */
const FLOOD_LIMITS: FloodLimits = { newSessions: 10_000, cartChanges: 3000 };

/**
 * Limits against guessing and flooding; each answers 429 with Retry-After. An address is what
 * `trust proxy` says it is, for IPv6 its /56.
 * @param sharedHits where the counts that all processes share are kept; undefined: in this process
 */
export function rateLimits(
  sharedHits: (name: string) => Store | undefined,
  { newSessions, cartChanges }: FloodLimits = FLOOD_LIMITS,
) {
  const limit = (options: Partial<Options>) =>
    rateLimit({
      legacyHeaders: false,
      standardHeaders: false,
      keyGenerator: addressOf,
      validate: false, // it would print its advice on proxies, which the app has its own way to give
      handler: (req, _res, next) => {
        const { resetTime } = (req as Request & { rateLimit: { resetTime?: Date } }).rateLimit;
        const seconds = Math.max(1, Math.ceil((Number(resetTime ?? 0) - Date.now()) / 1000));
        const headers = { 'Retry-After': String(seconds) };
        next(new Refusal(429, `Too many requests. Please wait ${seconds} seconds.`, headers));
      },
      ...options,
    });

  /** Counted for all processes together. */
  const shared = (name: string, options: Partial<Options>) => {
    const store = sharedHits(name);
    return limit({ windowMs: 3 * MINUTE, ...options, ...(store && { store }) });
  };

  /** Counts answers of one status only, before the work: of a hundred at once, ten reach bcrypt. */
  const answered = (status: number, name: string, options: Partial<Options>) =>
    shared(name, {
      skipSuccessfulRequests: true,
      requestWasSuccessful: (_req, res) => res.statusCode !== status,
      ...options,
    });

  /** At the log-in, and wherever the password is asked for once more. */
  const password = [
    answered(403, 'address', { limit: 100 }),
    // With the address in the key, nobody is locked out of an account from elsewhere.
    answered(403, 'account', {
      limit: 10,
      keyGenerator: (req) => `${accountOf(req)}:${addressOf(req)}`,
    }),
  ];

  const newVisitors = limit({ windowMs: MINUTE, limit: newSessions });

  return {
    password,
    /** Each costs a hash, and tells whether an address has an account. */
    register: [shared('register', { limit: 100 }), answered(409, 'taken', { limit: 10 })],
    // A look makes a session in the shop, and on any page that says the old ticket was worth nothing.
    // Who has one passes without further ado; `skip` would look at the address all the same.
    newSessions: ((req, res, next) =>
      req.session.version === 0 && (req.path === '/' || req.session.flash)
        ? newVisitors(req, res, next)
        : next()) as RequestHandler,
    lab: limit({ windowMs: MINUTE, limit: 30 }),
    cartChanges: limit({
      windowMs: MINUTE,
      limit: cartChanges,
      keyGenerator: (req) => (req.session.version > 0 ? req.sessionID : addressOf(req)),
    }),
  };
}

const addressOf = (req: Request) => ipKeyGenerator(req.ip ?? '');

/** A hash, so that the counts tell nobody's email address. */
function accountOf(req: Request): string {
  // Only the log-in form names an account; elsewhere it is that of the session, whatever is sent.
  const body = req.account && req.route.path !== '/login' ? req.account : req.body;
  const email: unknown = (body as Record<string, unknown> | undefined)?.email;
  const name = typeof email === 'string' ? email.trim().toLowerCase() : '';
  return createHash('sha256').update(name).digest('base64url');
}
