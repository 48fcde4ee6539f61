import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { it } from 'node:test';

it('express-session prints no warning about its MemoryStore between the log lines of production', () => {
  const module = JSON.stringify(new URL('tutorial-shop.ts', import.meta.url).href);
  const script = `import { tutorialShop } from ${module}; tutorialShop(async () => {});`;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', script],
    { env: { ...process.env, NODE_ENV: 'production' }, encoding: 'utf8' },
  );
  assert.deepEqual([status, stdout, stderr], [0, '', '']);
});
