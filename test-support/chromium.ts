import { existsSync } from 'node:fs';
import { join } from 'node:path';

const names = ['chromium', 'chromium-browser', 'google-chrome'];
const dirs = `/usr/bin:${process.env.PATH}`.split(':');
const places = [
  ...names.flatMap((name) => dirs.map((dir) => join(dir, name))),
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** How to launch the Chromium of this machine: no browser is downloaded. */
export function chromiumOptions() {
  const executablePath = places.find(existsSync);
  if (!executablePath) throw new Error('Chromium is not installed');
  // Its own sandbox does not work for root, as in a container.
  const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return { executablePath, args: [...sandbox, '--disable-background-networking'] };
}
