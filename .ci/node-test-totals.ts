import { relative } from 'node:path';
import type { TestEvent } from 'node:test/reporters';

/**
 * A reporter for node:test that prints one JSON object. It counts whatever did not run as failed:
 * skipped and todo tests and suites, and files without tests. node:test would count these as
 * passed.
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
    } else if (type === 'test:stderr' && data.message.startsWith('Not ended after ')) {
      notes.push(data.message.trimEnd());
    } else if (type === 'test:pass' || type === 'test:fail') {
      const place = data.file === undefined ? '' : relative('', data.file);
      // (A reason may be an empty string.)
      if (data.skip !== undefined || data.todo !== undefined) {
        notes.push(`${data.skip !== undefined ? 'skipped' : 'todo'}: ${data.name} (${place})`);
        // node:test does not count suites.
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
