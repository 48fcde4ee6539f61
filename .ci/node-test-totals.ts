import { relative } from 'node:path';
import type { TestEvent } from 'node:test/reporters';

/**
 * A reporter of node:test that answers one JSON object. A test that did not run has not passed:
 * skipped and todo tests and suites, and files without a test, which node:test takes for passed.
 */
export default async function* totals(events: AsyncIterable<TestEvent>) {
  let passed = 0;
  let failed = 0;
  let ended = false;
  const notes: string[] = [];
  const seconds: Record<string, number> = {};
  for await (const { type, data } of events) {
    if (type === 'test:summary' && data.file === undefined) {
      ended = true;
      passed += data.counts.passed;
      failed += data.counts.tests - data.counts.passed;
    } else if (type === 'test:summary' && data.file !== undefined) {
      seconds[relative('', data.file)] = Math.round(data.duration_ms / 100) / 10;
    } else if (type === 'test:pass' || type === 'test:fail') {
      const place = data.file === undefined ? '' : relative('', data.file);
      // (A reason may be an empty string.)
      if (data.skip !== undefined || data.todo !== undefined) {
        notes.push(`${data.skip !== undefined ? 'skipped' : 'todo'}: ${data.name} (${place})`);
        // node:test counts no suites.
        if (data.details.type === 'suite') failed++;
      } else if (type === 'test:pass' && data.nesting === 0 && data.name === place) {
        notes.push(`no test in ${place}`);
        passed--;
        failed++;
      }
    }
  }
  if (ended) yield JSON.stringify({ passed, failed, notes, seconds });
}
