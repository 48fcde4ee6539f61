// npm run soak: half an hour of visitors, outages and updates. Then it checks that every acknowledged
// change is there. `npm run soak -- 5` takes five minutes. Writes its report into docs/soak.md. Linux only.
import { readFileSync, writeFileSync } from 'node:fs';
import { runSoak, SOAK, type SoakReport } from './run-soak.ts';

const minutes = Number(process.argv[2] ?? 30);
if (!(minutes > 0)) throw new Error('Usage: npm run soak -- MINUTES');
const print = (line: string) => process.stdout.write(`${line}\n`);
const report = await runSoak({ seconds: minutes * 60, events: SOAK, print });
const text = textOf(report);
print(`\n${text}`);
report.problems.forEach(print);
const file = new URL('../docs/soak.md', import.meta.url);
const page = readFileSync(file, 'utf8');
const between = /(?<=<!-- report -->\n)[\s\S]*(?=<!-- \/report -->)/;
writeFileSync(
  file,
  page.replace(between, () => `\n${text}\n`),
);
process.exitCode = report.problems.length > 0 ? 1 : 0;

function textOf({ phases, uses, acknowledged, problems }: SoakReport): string {
  const { changes, logIns, logOuts, views } = acknowledged;
  const row = (...cells: (string | number)[]) => `| ${cells.join(' | ')} |`;
  const requests = phases.reduce((sum, each) => sum + each.responses, 0);
  const found = problems.length > 0 ? `problems: ${problems.length}` : 'nothing lost';
  return [
    `${minutes} minutes, ${requests} requests, ${logIns} log-ins, ${logOuts} log-outs, ${views} views, ${changes} acknowledged changes: **${found}**.`,
    '',
    row(
      'Minute',
      'Event',
      'Requests',
      'Refused (503)',
      'No response',
      'Longest wait',
      'Still refused after the event',
    ),
    row('---', '---', '---', '---', '---', '---', '---'),
    ...phases.map(({ minute, what, responses, refused, unanswered, longestMs, refusedForMs }) =>
      row(
        ...[minute.toFixed(1), what, responses, refused, unanswered],
        ...[longestMs, refusedForMs].map((ms) => `${(ms / 1000).toFixed(1)} s`),
      ),
    ),
    '',
    row('', 'Early', 'Late'),
    row('---', '---', '---'),
    ...uses.map(({ what, early, late }) => row(what, early, late)),
  ].join('\n');
}
