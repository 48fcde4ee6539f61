import { createHmac, timingSafeEqual } from 'node:crypto';

type Use = 'register' | 'refresh' | 'bound';

/**
 * The challenges of a device-bound session, and the value of its cookie. Each carries its time and a MAC, so
 * no process stores it and every process can check it.
 * @param secrets the first one makes tokens; tokens of all of them are valid
 */
export function deviceTokens(secrets: readonly string[], now: () => number) {
  const [newest = ''] = secrets;

  const macOf = (secret: string, use: Use, of: string, time: string) =>
    // No session id has a colon, so this can never be the signature of a session cookie.
    createHmac('sha256', secret).update(`dbsc:${use}:${of}:${time}`).digest();

  /** @param of the subject of the token: a session's handle, or the id of its key */
  function token(use: Use, of: string): string {
    const time = String(now());
    return `${time}.${macOf(newest, use, of, time).toString('base64url')}`;
  }

  /** @returns when a process with one of the secrets made the token; undefined if none did */
  function timeOf(text: string | undefined, use: Use, of: string): number | undefined {
    const [, time, mac] = /^(\d{1,16})\.([\w-]{43})$/.exec(text ?? '') ?? [];
    if (!time || !mac) return undefined;
    const given = Buffer.from(mac, 'base64url');
    const isOurs = secrets.some((secret) => timingSafeEqual(given, macOf(secret, use, of, time)));
    return isOurs ? Number(time) : undefined;
  }

  return { token, timeOf };
}
