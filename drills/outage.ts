// npm run drill:outage: real Redis fails under the real app, and the carts are counted afterwards.
// Takes about a minute and a half; docs/outages.md explains the results.
import { outages } from './outage-kinds.ts';
import { type Outage, type Outcome, runOutage } from './run-outage.ts';

const print = (line: string) => process.stdout.write(`${line}\n`);

const outcomes: [Outage, Outcome][] = [];
for (const [n, outage] of outages.entries()) {
  print(`\n${n + 1} of ${outages.length}. ${outage.setting}: ${outage.failure}`);
  const outcome = await runOutage(outage, print);
  const { acknowledged, before, lost } = outcome;
  print(
    `      ${acknowledged} adds acknowledged, ${before} before the failure; ${lost} lost in all.`,
  );
  outcomes.push([outage, outcome]);
}
print('');
tableOf(outcomes).forEach(print);
print(`
The kernel keeps everything that a killed process has written. But a power cut loses what the kernel
has not yet put on the disk: with appendfsync everysec, about the last second. No drill on one machine
can show this.`);

function tableOf(results: readonly [Outage, Outcome][]): string[] {
  const titles =
    'Topology and durability|Failure|Acknowledged adds|Of these, lost|Longest wait|Unavailable for';
  const rows = [
    titles.split('|'),
    ...results.map(([{ setting, failure }, { acknowledged, lost, longestMs, unavailableMs }]) => [
      ...[setting, failure, `${acknowledged}`, `${lost}`],
      ...[longestMs, unavailableMs].map((ms) => `${(ms / 1000).toFixed(1)} s`),
    ]),
  ];
  const widths = titles
    .split('|')
    .map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const [first = '', ...others] = rows.map(
    (row) => `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`,
  );
  return [first, `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...others];
}
