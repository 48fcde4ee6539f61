import { parse } from 'bowser';

/** Such as "Firefox on Windows". A client can claim to be anything. */
export function browserName(userAgent = ''): string {
  if (userAgent === '') return 'Unknown device';
  const { browser, os } = parse(userAgent.slice(0, 500));
  const program = browser.name || userAgent.split(/[/ ]/, 1)[0]?.slice(0, 30) || 'Unknown program';
  return os.name ? `${program} on ${os.name}` : program;
}
