import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { text as readAll } from 'node:stream/consumers';

export type Keys = { privateKey: KeyObject; publicKey: KeyObject };
export const ecKeys = (): Keys => generateKeyPairSync('ec', { namedCurve: 'P-256' });

type Proof = { alg?: string; jwk?: object; jti: string; authorization?: string };
const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** The JWS with which a browser proves its key. With `jwk`, it registers the key. */
export function proofOf({ privateKey }: Keys, { alg = 'ES256', jwk, ...payload }: Proof): string {
  const signed = `${part({ alg, jwk, typ: 'dbsc+jwt' })}.${part(payload)}`;
  const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const;
  return `${signed}.${sign('sha256', Buffer.from(signed), key).toString('base64url')}`;
}

const agent = new Agent({ keepAlive: true });

/** Unlike `fetch`, it sends the Sec-Fetch headers that it is given, and follows no redirect. */
export async function ask(
  url: string,
  { method = 'GET', headers = {}, json }: Visit,
): Promise<Response> {
  const asked = httpRequest(url, {
    agent,
    method,
    headers: {
      'x-forwarded-proto': 'https',
      ...(json && { 'content-type': 'application/json' }),
      ...headers,
    },
  });
  const [response] = (await once(asked.end(json && JSON.stringify(json)), 'response')) as [
    IncomingMessage,
  ];
  const { statusCode: status = 0, rawHeaders } = response;
  const pairs = rawHeaders.flatMap((name, n): [string, string][] =>
    n % 2 ? [] : [[name, rawHeaders[n + 1] ?? '']],
  );
  return new Response(await readAll(response), { status, headers: pairs });
}

type Device = { id: string; challenge?: string | undefined };
type Visit = { method?: string; headers?: Record<string, string>; json?: object };
export type BoundBrowser = ReturnType<typeof boundBrowser>;

const quoted = (text: string | null, pattern: RegExp) => pattern.exec(text ?? '')?.[1];

/**
 * Does what we have seen Chromium do with device-bound sessions: see docs/device-bound.md.
 * @param originOf the process that gets the next request
 * @param now the clock of the browser, in milliseconds
 * @param options.mark put around the proof and the id in its headers, such as a quotation mark
 */
export function boundBrowser(
  originOf: () => string,
  now: () => number = Date.now,
  { mark = '' } = {},
) {
  const keys = ecKeys();
  const cookies = new Map<string, { value: string; endsAt: number }>();
  let device: Device | undefined;
  let registering: Promise<void> = Promise.resolve();
  let registrationStatus: number | undefined;
  let refreshing: Promise<boolean> | undefined;
  const ended: number[] = [];

  const leftOf = (name: string) => (cookies.get(name)?.endsAt ?? 0) - now();

  async function send(path: string, { headers, ...visit }: Visit): Promise<Response> {
    const sent = [...cookies].filter(([name]) => leftOf(name) > 0);
    const response = await ask(originOf() + path, {
      ...visit,
      headers: {
        'sec-fetch-site': 'same-origin',
        cookie: sent.map(([name, { value }]) => `${name}=${value}`).join('; '),
        ...headers,
      },
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      const maxAge = /Max-Age=(\d+)/i.exec(line)?.[1] ?? Infinity;
      const endsAt = line.includes('01 Jan 1970') ? 0 : now() + Number(maxAge) * 1000;
      cookies.set(name, { value, endsAt });
    }
    const registration = response.headers.get('secure-session-registration');
    if (registration) registering = register(registration);
    return response;
  }

  async function register(offer: string): Promise<void> {
    const jti = quoted(offer, /challenge="([^"]+)"/) ?? '';
    const jwk = keys.publicKey.export({ format: 'jwk' });
    const proof = proofOf(keys, { jwk, jti });
    const response = await postProof(quoted(offer, /path="([^"]+)"/) ?? '', proof).catch(
      () => undefined,
    );
    registrationStatus = response?.status;
    if (response?.status !== 200) return;
    const { session_identifier: id } = (await response.json()) as { session_identifier: string };
    device = { id, challenge: challengeIn(response) };
  }

  const postProof = (path: string, proof: string | undefined, id?: string) =>
    send(path, {
      method: 'POST',
      headers: {
        ...(proof && { 'secure-session-response': mark + proof + mark }),
        ...(id && { 'sec-secure-session-id': mark + id + mark }),
      },
    });

  const challengeIn = ({ headers }: Response) =>
    quoted(headers.get('secure-session-challenge'), /^"([^"]+)"/);

  /** @returns whether the request must be sent without a fresh cookie */
  async function refresh(path = '/dbsc/refresh'): Promise<boolean> {
    const current = device;
    if (!current) return false;
    for (let attempts = 0; attempts < 5; attempts++) {
      const { challenge } = current;
      const proof = challenge === undefined ? undefined : proofOf(keys, { jti: challenge });
      const response = await postProof(path, proof, current.id).catch(() => undefined);
      if (!response || response.status >= 500) return true;
      current.challenge = challengeIn(response);
      if (response.status === 200) return false;
      if (response.status === 403 && current.challenge !== undefined) continue;
      ended.push(response.status);
      break;
    }
    if (device === current) device = undefined;
    return false;
  }

  /** One refresh at a time, for all tabs. */
  const refreshOnce = () => {
    refreshing ??= refresh().finally(() => {
      refreshing = undefined;
    });
    return refreshing;
  };

  async function request(path: string, visit: Visit = {}): Promise<Response> {
    const left = leftOf('__Host-device');
    // Chromium does not refresh when the visitor follows a link from another site.
    const isForeign = visit.headers?.['sec-fetch-site'] === 'cross-site';
    let skipped = false;
    if (device && left <= 0 && !isForeign) skipped = await refreshOnce();
    else if (device && left < 120_000) void refreshOnce();
    const headers = { ...(skipped && { 'secure-session-skipped': 'unreachable' }) };
    return send(path, { ...visit, headers: { ...headers, ...visit.headers } });
  }

  return {
    keys,
    cookies,
    request,
    send,
    refresh: refreshOnce,
    get device() {
      return device;
    },
    get registrationStatus() {
      return registrationStatus;
    },
    /** Resolves once the registration is over, whether it succeeded or not. */
    registered: () => registering,
    /** The statuses that ended a device session. */
    ended,
    loseKey: () => {
      device = undefined;
    },
  };
}
