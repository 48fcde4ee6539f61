import type { IncomingHttpHeaders } from 'node:http';
import { parse, serialize } from 'cookie';
import type { Request, RequestHandler, Response } from 'express';
import type { SessionCookie } from './cookie.ts';
import { algorithmOf, BadProof, readProof } from './device-proof.ts';
import { deviceTokens } from './device-tokens.ts';
import { DeviceUnproved, ProofUnavailable, SessionGone } from './errors.ts';
import type { Lifecycle } from './lifecycle.ts';
import { hasMoved, isStored, MOVED, type SessionRecord } from './record.ts';
import { newSessionId, sessionHandle } from './session-id.ts';

// Device Bound Session Credentials (DBSC): https://w3c.github.io/webappsec-dbsc/
// docs/device-bound.md says what they protect against.

export type DeviceBoundOption = {
  /**
   * Binds each session to a key of the browser that logged in, if the browser can. The cookie must be
   * Secure and have the path '/'. `logIn` and `logOut` are the paths that stay open to a browser that
   * has lost its key. Default: no session is bound. `true` means /login and /logout
   */
  deviceBound?: boolean | { logIn: string; logOut: string };
};

const COOKIE = '__Host-device';
const PATHS = { registration: '/dbsc/registration', refresh: '/dbsc/refresh' };

/** Browsers refresh the cookie when it has less than two minutes left. */
const COOKIE_MS = 600_000;
/** Added for a request whose cookie expires while it is on its way. */
const ON_THE_WAY_MS = 30_000;
/** For requests that were already under way when the browser first proved its key. */
const GRACE_MS = 10_000;
const REGISTRATION_MS = 60_000;
/** The browser gets a challenge at each refresh, and answers it at the next, about eight minutes later. */
const CHALLENGE_MS = 900_000;

type Options = {
  /** The session store, without its callbacks. */
  store: { lifecycle: Lifecycle; attach: (req: Request, record: SessionRecord) => void };
  secrets: readonly string[];
  cookie: SessionCookie;
  logIn?: string;
  logOut?: string;
};

export type DeviceBinding = ReturnType<typeof createDeviceBinding>;

/**
 * Binds a session to a key that the browser never gives away:
 * 1. The response to a log-in asks the browser to register a key. The session keeps the public half.
 * 2. The browser signs a challenge, and gets a second cookie, which proves the key for ten minutes. Ten
 *    seconds later, a request without this cookie is refused.
 * 3. Before the cookie expires, the browser signs the next challenge.
 * Only the key is stored: see device-tokens.ts. A browser that got no response may send the same proof again.
 */
export function createDeviceBinding({
  store,
  secrets,
  cookie,
  logIn = '/login',
  logOut = '/logout',
}: Options) {
  const { lifecycle } = store;
  const { now, emit } = lifecycle;
  const { attributes } = cookie;
  if (!attributes.secure || attributes.path !== '/' || attributes.domain || attributes.partitioned)
    throw new TypeError(
      "deviceBound needs a session cookie with secure: true and the path '/', without domain and partitioned",
    );
  const { token, timeOf } = deviceTokens(secrets, now);
  const attributesText = serialize('x', '', attributes).replace('x=; ', '');
  /** The requests of bound sessions that came without proof. Their `req.session` is empty. */
  const unproved = new WeakSet<object>();

  function requireChallenge(text: string, use: 'register' | 'refresh', of: string, maxMs: number) {
    const time = timeOf(text, use, of);
    if (time === undefined) throw new BadProof('challenge');
    if (now() - time > maxMs) throw new BadProof('old challenge');
  }

  /** Asks the browser to register a key for the session that this request has just renewed. */
  function offer(req: Request): void {
    const challenge = token('register', sessionHandle(req.sessionID));
    req.res?.setHeader(
      'Secure-Session-Registration',
      `(ES256 RS256);path="${PATHS.registration}";challenge="${challenge}"`,
    );
  }

  const storeDevice = async (
    req: Request,
    change: (current: SessionRecord['boundTo']) => SessionRecord['boundTo'],
  ): Promise<void> => {
    const stampOf = ({ boundTo }: SessionRecord) => ({ boundTo: change(boundTo) });
    const seen = req.session.toJSON();
    store.attach(req, await lifecycle.update(req.sessionID, seen, () => {}, stampOf));
  };

  async function register(req: Request, res: Response): Promise<void> {
    try {
      if (!isStored(req.session)) throw new BadProof('no session');
      const { key, challenge } = readProof(textIn(req, 'Secure-Session-Response') ?? '');
      requireChallenge(challenge, 'register', sessionHandle(req.sessionID), REGISTRATION_MS);
      await storeDevice(req, (current) => {
        // Only once: a thief of the cookie must not bind the session to another key.
        if (current && JSON.stringify(current.key) !== JSON.stringify(key))
          throw new BadProof('registered before');
        return current ?? { id: newSessionId(), key };
      });
    } catch (error) {
      return refuse(req, res, 400, error);
    }
    emit({ type: 'device-registered' }, req);
    const id = req.session.boundTo?.id ?? '';
    challengeNext(res, id);
    res.json({
      session_identifier: id,
      refresh_url: PATHS.refresh,
      scope: { include_site: false, scope_specification: [] },
      credentials: [{ type: 'cookie', name: COOKIE, attributes: attributesText }],
    });
  }

  /**
   * Most other statuses make a browser give up its key. So 403 with a challenge means "again", 503 means
   * "later", and 404 is the end.
   */
  async function refresh(req: Request, res: Response): Promise<void> {
    const { boundTo: device } = req.session;
    const asked = textIn(req, 'Sec-Secure-Session-Id') ?? device?.id;
    if (hasMoved(req.session)) throw new ProofUnavailable();
    if (!device || asked !== device.id) return respond(req, res, 404);
    const proof = textIn(req, 'Secure-Session-Response');
    try {
      if (proof === undefined) throw new BadProof();
      requireChallenge(readProof(proof, device.key).challenge, 'refresh', device.id, CHALLENGE_MS);
      if (device.since === undefined)
        await storeDevice(req, (current) => {
          if (current?.id !== device.id) throw new SessionGone();
          return { ...current, since: current.since ?? now() };
        });
    } catch (error) {
      if (error instanceof SessionGone) throw new ProofUnavailable();
      challengeNext(res, device.id);
      return refuse(req, res, 403, error);
    }
    emit({ type: 'device-proved' }, req);
    challengeNext(res, device.id);
    // Max-Age without Expires, so that a wrong clock in the browser does no harm.
    const maxAge = COOKIE_MS / 1000;
    const bound = serialize(COOKIE, token('bound', device.id), { ...attributes, maxAge });
    res.append('Set-Cookie', bound).end();
  }

  function challengeNext(res: Response, id: string): void {
    res.setHeader('Secure-Session-Challenge', `"${token('refresh', id)}";id="${id}"`);
  }

  function refuse(req: Request, res: Response, status: number, error: unknown): void {
    if (!(error instanceof BadProof)) throw error;
    // A refresh without a proof only asks for a challenge.
    if (error.message) emit({ type: 'device-refused', reason: error.message }, req);
    respond(req, res, status);
  }

  function respond(req: Request, res: Response, status: number): void {
    Reflect.deleteProperty(req, 'session'); // so that a thief cannot keep it from expiring
    res.status(status).end();
  }

  /**
   * For a page: the kind of the browser's key, and how long its last proof is valid. `unproved`: this
   * request comes without the proof that its session needs.
   */
  function describe(req: Request) {
    const { session, headers } = req;
    const proved = provedAt(session, headers);
    const algorithm = session.boundTo && algorithmOf(session.boundTo.key);
    const endsAt = proved && proved + COOKIE_MS;
    return { algorithm, provedAt: proved, endsAt, unproved: unproved.has(req) };
  }

  /** When the browser last proved its key, in milliseconds since 1970. */
  function provedAt(
    { boundTo: device }: SessionRecord,
    headers: IncomingHttpHeaders,
  ): number | undefined {
    return device && timeOf(parse(headers.cookie ?? '')[COOKIE], 'bound', device.id);
  }

  /** Whether the session is bound and the request brings no valid proof. */
  function isUnproved(session: SessionRecord, headers: IncomingHttpHeaders): boolean {
    const { boundTo: device } = session;
    if (device?.since === undefined || Math.abs(now() - device.since) <= GRACE_MS) return false;
    const time = provedAt(session, headers);
    return time === undefined || now() - time > COOKIE_MS + ON_THE_WAY_MS;
  }

  const handler: RequestHandler = (req, res, next) => {
    if (!Object.is(req.sessionStore, store)) return next();
    const [path = ''] = req.originalUrl.split('?', 1);
    if (req.method === 'POST' && path === PATHS.registration) return register(req, res);
    if (req.method === 'POST' && path === PATHS.refresh) return refresh(req, res);
    if (!isUnproved(req.session, req.headers)) return next();
    const cookieIsOurs = provedAt(req.session, req.headers) !== undefined;
    const skipped = isSkipped(req.headers);
    unproved.add(req);
    store.attach(req, { ...lifecycle.fresh(), version: MOVED });
    // If a shared cache kept the page "One moment", that page would reload forever.
    res.set('Cache-Control', 'no-store');

    const isNavigation = req.get('Sec-Fetch-Mode') === 'navigate';
    const site = req.get('Sec-Fetch-Site');
    const here = `${req.protocol}://${req.host}${req.originalUrl}`;
    const isForeign = isNavigation && (site === 'cross-site' || site === 'same-site');
    // Browsers do not refresh when the visitor follows a link from another site. They do when this page
    // loads the address again.
    if (isForeign && req.method === 'GET')
      return void res.set('Refresh', `0; url=${here}`).type('html').send(ONE_MOMENT);
    const isOpen = path === logIn || path === logOut;
    // While the browser cannot prove its key, a script that asks who is logged in must not hear "nobody".
    if (isOpen && (isNavigation || req.method === 'POST' || !skipped)) return next();

    const reason = skipped ? 'skipped' : cookieIsOurs ? 'expired' : 'unproved';
    Reflect.deleteProperty(req, 'session');
    emit({ type: 'device-refused', reason }, req);
    if (skipped) return next(new ProofUnavailable());
    // The server's clock was set forward, so the browser does not know that its cookie is too old.
    if (cookieIsOurs && site !== undefined) {
      clearCookie(req, res);
      return res.redirect(307, here);
    }
    if (!isNavigation) return next(new DeviceUnproved());
    const back = req.method === 'GET' ? `?next=${encodeURIComponent(req.originalUrl)}` : '';
    res.redirect(303, logIn + back);
  };

  /** For sockets, which no middleware has seen. @throws ProofUnavailable */
  function mayOpen(session: SessionRecord, headers: IncomingHttpHeaders): boolean {
    if (!isUnproved(session, headers)) return true;
    if (isSkipped(headers)) throw new ProofUnavailable();
    return false;
  }

  /** Deletes the bound cookie, if the browser has one. */
  function clearCookie(req: Request, res: Response): void {
    if (COOKIE in parse(req.headers.cookie ?? '')) res.clearCookie(COOKIE, attributes);
  }

  return { handler, offer, mayOpen, describe, unproved, clearCookie };
}

/** The specification writes these headers with quotation marks, and Chromium 156 without. */
const textIn = (req: Request, header: string) => req.get(header)?.replace(/^"(.*)"$/, '$1');

const isSkipped = (headers: IncomingHttpHeaders) => 'secure-session-skipped' in headers;

const ONE_MOMENT = '<!DOCTYPE html><html lang="en"><title>One moment</title><p>One moment …</p>';
