import { parse } from 'bowser';
import type { Request } from 'express';

/** What a browser says of itself, in words: "Firefox on Windows". It may say anything. */
export function deviceOf(req: Request): string {
  const userAgent = req.get('User-Agent')?.slice(0, 500);
  if (!userAgent) return 'An unknown device';
  const { browser, os } = parse(userAgent);
  const program =
    browser.name || userAgent.split(/[/ ]/, 1)[0]?.slice(0, 30) || 'An unknown program';
  return os.name ? `${program} on ${os.name}` : program;
}
