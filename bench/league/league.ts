// npm run league                 measures every store and writes docs/league.md and docs/league.svg
// npm run league -- NAME ...     measures these, and only prints
import { readFileSync, writeFileSync } from 'node:fs';
import { contestants } from './contestants.ts';
import { measure } from './measure.ts';
import { chart, type Row, table } from './report.ts';

const RUNS = 5;
const names = process.argv.slice(2);
const chosen = contestants.filter(({ name }) => names.length === 0 || names.includes(name));
// Some packages print what they do.
console.log = () => {};

const rows: Row[] = [];
for (const contestant of chosen) {
  process.stderr.write(`${contestant.name} ...\n`);
  const runs = [];
  try {
    for (let n = 0; n < RUNS; n++) runs.push(await measure(contestant));
    rows.push({ contestant, runs });
  } catch (error) {
    rows.push({ contestant, why: error instanceof Error ? error.message : String(error) });
  }
}
const result = table(rows);
process.stdout.write(`${result}\n`);
if (names.length === 0) {
  const page = new URL('../../docs/league.md', import.meta.url);
  const date = new Date().toISOString().slice(0, 10);
  const text = readFileSync(page, 'utf8')
    .replace(/^\| Store [\s\S]*?\n\n/m, () => `${result}\n\n`)
    .replace(/Measured on \d{4}-\d\d-\d\d/, `Measured on ${date}`);
  writeFileSync(page, text);
  writeFileSync(new URL('../../docs/league.svg', import.meta.url), chart(rows));
}
process.exit(0); // some packages keep timers that nothing can stop
