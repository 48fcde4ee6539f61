import { existsSync } from 'node:fs';
import { join } from 'node:path';

const dirs = `/usr/bin:${process.env.PATH}`.split(':');
const found = (...names: string[]) => names.flatMap((name) => dirs.map((dir) => join(dir, name)));
const headless = found('chromium-headless-shell');
const browsers = [
  ...found('chromium', 'chromium-browser', 'google-chrome'),
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

// For each window, Chromium opens two hidden pages for the suggestions of its address bar, which take
// two fifths of the CPU time. A second --disable-features replaces Playwright's, so that list is here too.
const disabled = [
  ...['WebUIOmniboxPopup', 'WebUIOmniboxAimPopup'],
  ...['AimEnabled', 'AvoidCorsURLLoaderRestartOnRedirect', 'AvoidUnnecessaryBeforeUnloadCheckSync'],
  ...['DestroyProfileOnBrowserClose', 'HttpsFirstBalancedModeAutoEnable', 'HttpsUpgrades'],
  ...['LensOverlay', 'MediaRouter', 'NetworkTimeServiceQuerying', 'OptimizationHints'],
  ...['PaintHolding', 'PreconnectToSearch', 'ThirdPartyStoragePartitioning'],
];

/**
 * The options to launch this machine's Chromium. No browser is downloaded. Without `needsWhole`, it is
 * Debian's headless one if there is one: it takes half the CPU time. It has no device-bound sessions,
 * and blocks no third-party cookies.
 */
export function chromiumOptions({ needsWhole = false } = {}) {
  const executablePath = [...(needsWhole ? [] : headless), ...browsers].find(existsSync);
  if (!executablePath) throw new Error('Chromium is not installed');
  // Chromium's sandbox does not work for root, for example in a container.
  const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  const features = `--disable-features=${disabled.join()}`;
  // A process for each page takes a tenth of the CPU time.
  const processes = ['--renderer-process-limit=1'];
  const quiet = ['--disable-background-networking', features];
  return { executablePath, args: [...sandbox, ...quiet, ...processes] };
}
