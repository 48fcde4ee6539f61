import { hash } from 'node:crypto';
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

/**
 * The most in a minute: new sessions from an address, log-ins to an account from an address, cart changes and
 * orders by an account or a session. Each process counts on its own, so no request waits for a store.
 */
const FLOOD_LIMITS = { newSessions: 10_000, cartChanges: 3000, orders: 60, logIns: 60 };

/** Many people may share an address. */
const PEOPLE_PER_ADDRESS = 10;

export type LimitOptions = {
  /** Stores a limit that holds across all processes. Default: each process counts on its own. */
  rateLimitStore?: ((name: string) => Store) | undefined;
  floodLimits?: Partial<typeof FLOOD_LIMITS> | undefined;
};

export type Limits = ReturnType<typeof rateLimits>;

/** Limits against guessing and flooding. An IPv6 address counts as its /56 network. */
export function rateLimits({
  rateLimitStore = () => new MemoryStore(),
  floodLimits,
  userEmail,
}: LimitOptions & { userEmail: (req: Request) => string | undefined }) {
  const flood = { ...FLOOD_LIMITS, ...floodLimits };
  const accountStore = rateLimitStore('account');

  // The address is part of the key: otherwise an attacker elsewhere could lock out the owner.
  const byAccount = (emailOf: (req: Request) => unknown) =>
    limitResponses(403, {
      store: accountStore,
      limit: 10,
      keyGenerator: keyOf(emailOf),
    });
  const byAddress = limitResponses(403, { store: rateLimitStore('address'), limit: 100 });
  const newSessionLimit = limit({ windowMs: MINUTE, limit: flood.newSessions });
  // Not by the session of a user: each log-in starts a new one.
  const ownerOf = (req: Request) =>
    userEmail(req) ?? (isStored(req.session) ? req.sessionID : addressOf(req));
  const formEmail = (req: Request): unknown => req.body?.email;

  return {
    logIn: [...limitFlood(flood.logIns, keyOf(formEmail)), byAddress, byAccount(formEmail)],
    /** Where a user enters the password again. */
    password: [byAddress, byAccount(userEmail)],
    /** A registration costs a hash, and reveals whether an email address has an account. */
    register: [
      limit({ windowMs: 3 * MINUTE, store: rateLimitStore('register'), limit: 100 }),
      limitResponses(409, { store: rateLimitStore('taken'), limit: 10 }),
    ],
    /** For a page that starts a session for each new visitor. */
    newVisitors: onlyWhen((req) => startsSession(req) && !hasLostSession(req), newSessionLimit),
    /** For all pages, because each starts a session to say that the visitor's last one has ended. */
    lostSessions: onlyWhen(hasLostSession, newSessionLimit),
    lab: limit({ windowMs: MINUTE, limit: 30 }),
    cartChanges: limitFlood(flood.cartChanges, ownerOf),
    /** Orders are kept forever. */
    orders: limitFlood(flood.orders, ownerOf),
  };
}

const startsSession = (req: Request) => isNew(req.session) && canUpdateSession(req);
const hasLostSession = (req: Request) => startsSession(req) && req.session.flash !== undefined;

/** Unlike the limiter's own `skip`, it costs nothing when it skips. */
const onlyWhen =
  (applies: (req: Request) => boolean, limiter: RequestHandler): RequestHandler =>
  (req, res, next) =>
    applies(req) ? limiter(req, res, next) : next();

const limitFlood = (max: number, keyGenerator: (req: Request) => string) => [
  limit({ windowMs: MINUTE, limit: max, keyGenerator }),
  limit({ windowMs: MINUTE, limit: max * PEOPLE_PER_ADDRESS }),
];

type ResponseLimit = { store: Store; limit: number; keyGenerator?: (req: Request) => string };

/**
 * Counts each request before its handler runs, and undoes the count if the response has another
 * status. Requests that are still running count, too, so a visitor may be refused for a short time.
 */
function limitResponses(status: number, options: ResponseLimit): RequestHandler {
  const { store, keyGenerator = addressOf } = options;
  const underWay = new Map<string, number>();
  const isBusy = (req: Request) => (underWay.get(keyGenerator(req)) ?? 0) > 1; // one is `req` itself
  const limiter = limit({ windowMs: 3 * MINUTE, ...options }, isBusy);
  return (req, res, next) => {
    const key = keyGenerator(req);
    underWay.set(key, (underWay.get(key) ?? 0) + 1);
    // Not an event of `res`: if the client leaves, `close` comes before the status, and `finish` never.
    const end = res.end.bind(res) as (...args: unknown[]) => typeof res;
    res.end = (...args: unknown[]) => {
      res.end = end;
      const others = (underWay.get(key) ?? 1) - 1;
      if (others > 0) underWay.set(key, others);
      else underWay.delete(key);
      if (res.statusCode !== status) void store.decrement(key);
      return end(...args);
    };
    return limiter(req, res, next);
  };
}

const SOON_SECONDS = 2;

const limit = (options: Partial<Options>, isOverSoon: (req: Request) => boolean = () => false) =>
  rateLimit({
    legacyHeaders: false,
    standardHeaders: false,
    keyGenerator: addressOf,
    validate: false, // it checks the proxy settings, which the app does itself
    handler: (req, _res, next) => {
      const { resetTime } = (req as Request & { rateLimit: { resetTime?: Date } }).rateLimit;
      const left = Math.max(1, Math.ceil((Number(resetTime ?? 0) - Date.now()) / 1000));
      const seconds = isOverSoon(req) ? Math.min(left, SOON_SECONDS) : left;
      const wait = seconds < 60 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`;
      const message = `Too many requests. Please try again in ${wait}.`;
      next(new Refusal(429, message, { 'Retry-After': String(seconds) }));
    },
    ...options,
  });

/** The key: the account that the request names, plus the address. */
const keyOf = (emailOf: (req: Request) => unknown) => (req: Request) =>
  `${emailHash(emailOf(req))}:${addressOf(req)}`;

export const addressOf = (req: Request) => ipKeyGenerator(req.ip ?? '');

// The store holds no email address.
const emailHash = (email: unknown) =>
  hash('sha256', typeof email === 'string' ? email.trim().toLowerCase() : '', 'base64url');
