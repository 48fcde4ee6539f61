import { existsSync } from 'node:fs';
import { join } from 'node:path';

const names = ['chromium', 'chromium-browser', 'google-chrome'];
const dirs = `/usr/bin:${process.env.PATH}`.split(':');
const places = [
  ...names.flatMap((name) => dirs.map((dir) => join(dir, name))),
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** The options to launch this machine's Chromium. No browser is downloaded. */
export function chromiumOptions() {
  const executablePath = places.find(existsSync);
  if (!executablePath) throw new Error('Chromium is not installed');
  // Chromium's sandbox does not work for root, for example in a container.
  const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return { executablePath, args: [...sandbox, '--disable-background-networking'] };
}
