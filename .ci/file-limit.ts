// Ends a test file that does not end: --test-timeout limits only its tests and hooks.
const LIMIT_MINUTES = 5;

function end(): void {
  const keptOpenBy = [...new Set(process.getActiveResourcesInfo())].join(', ');
  const message = `Not ended after ${LIMIT_MINUTES} minutes: ${process.argv[1]} (${keptOpenBy})\n`;
  process.stderr.write(message, () => process.exit(1));
}

// The runner, which loads this too, has no such variable.
if (process.env.NODE_TEST_CONTEXT) setTimeout(end, LIMIT_MINUTES * 60_000).unref();
