import { readFileSync } from 'node:fs';
import type { Contestant } from './contestants.ts';
import { CHANGES, type Figures, LOG_OUTS } from './measure.ts';

export type Row =
  | { contestant: Contestant; runs: Figures[] }
  | { contestant: Contestant; why: string };

const dependenciesIn = (file: string): Record<string, string> =>
  JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8')).dependencies;
const versions = { ...dependenciesIn('../../package.json'), ...dependenciesIn('package.json') };

/** The table of docs/league.md. */
export function table(rows: readonly Row[]): string {
  const head = [
    'Store',
    `${CHANGES} changes of one counter`,
    `${CHANGES} changes of different fields`,
    `Log-outs undone, of ${LOG_OUTS}`,
    'Response to a refused write',
    `Expired records left after 1 s, of ${LOG_OUTS}`,
  ];
  return [head, head.map(() => '---'), ...rows.map(cellsOf)]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

function cellsOf(row: Row): string[] {
  const name = nameOf(row.contestant);
  if ('why' in row) return [name, `Not measured: ${row.why}`, '', '', '', ''];
  const spread = (figure: 'counter' | 'fields' | 'undone') =>
    show(row.runs.map((run) => run[figure]));
  return [
    name,
    ...[spread('counter'), spread('fields'), spread('undone')],
    refusedOf(row.contestant, row.runs),
    expiredOf(row.contestant, row.runs),
  ];
}

function refusedOf({ stopped }: Contestant, runs: readonly Figures[]): string {
  const responses = [...new Set(runs.map(({ refused }) => refused ?? '–'))].join(' or ');
  return stopped ? `${responses}; server stopped` : responses;
}

function expiredOf({ sweeps }: Contestant, runs: readonly Figures[]): string {
  const records = runs.map((run) => run.left);
  if (records.includes(undefined)) return '–';
  const most = Math.max(...records.map(Number));
  return most > 0 && sweeps ? `${most}, deleted ${sweeps}` : `${most}`;
}

/** The median, and the range where the runs differ. */
function show(figures: readonly number[]): string {
  const sorted = figures.toSorted((a, b) => a - b);
  const [least, median, most] = [0, sorted.length >> 1, sorted.length - 1].map((at) => sorted[at]);
  return least === most ? `${median}` : `${median} (${least}–${most})`;
}

const upperMedian = (figures: readonly number[]) =>
  figures.toSorted((a, b) => a - b)[figures.length >> 1] ?? 0;

export function nameOf({ name, package: from }: Contestant): string {
  if (!from) return `**${name}**`;
  return from === name ? `${name} ${versionOf(name)}` : `${name} (${from} ${versionOf(from)})`;
}

const versionOf = (name: string): string => versions[name] ?? 'of unknown version';

/** A bar chart of the kept changes. It follows the reader's light or dark colour scheme. */
export function chart(rows: readonly Row[]): string {
  const kinds = Map.groupBy(
    rows.filter((row) => 'runs' in row),
    ({ contestant: { name } }) => name.replace(/,.*/, ''),
  );
  // This repository has one bar for each way to use it, with the figures of its worst store.
  const bars = [...kinds].map(([name, stores]) => ({
    name: stores.length > 1 ? `${name}, ${stores.length} stores` : name,
    ours: !stores[0]?.contestant.package,
    counter: Math.min(...stores.map(({ runs }) => upperMedian(runs.map((run) => run.counter)))),
    fields: Math.min(...stores.map(({ runs }) => upperMedian(runs.map((run) => run.fields)))),
  }));
  const [left, width, step] = [250, 360, 38];
  const bar = (kept: number, y: number, kind: string) => {
    const length = Math.max(2, (kept / CHANGES) * width);
    return `<rect class="${kind}" x="${left}" y="${y}" width="${length.toFixed(1)}" height="13" rx="2"/>
  <text class="figure" x="${(left + length + 8).toFixed(1)}" y="${y + 11}">${kept}</text>`;
  };
  const shown = bars.map(({ name, ours, counter, fields }, n) => {
    const y = 72 + n * step;
    return `  <text class="${ours ? 'name own' : 'name'}" x="${left - 12}" y="${y + 18}">${name}</text>
  ${bar(counter, y, ours ? 'ours' : 'bar')}
  ${bar(fields, y + 15, ours ? 'ours pale' : 'bar pale')}`;
  });
  const label = bars.map(({ name, counter, fields }) => `${name} ${counter} and ${fields}`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 ${88 + bars.length * step}" role="img" aria-label="Of ${CHANGES} simultaneous changes, kept in one counter and in different fields: ${label.join('; ')}">
  <style>
    text { font: 14px system-ui, sans-serif; fill: #24292f }
    .title, .own { font-weight: 600 } .name { text-anchor: end } .figure, .key { font-size: 12px }
    .bar { fill: #6e7781 } .ours { fill: #b4532a } .pale { opacity: .55 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 } .bar { fill: #8b949e } .ours { fill: #e07b4c }
    }
  </style>
  <text class="title" x="20" y="28">Of ${CHANGES} changes at the same time, all answered with 200: how many were kept</text>
  <text class="key" x="20" y="50">Upper bar: of one counter. Lower bar: of ${CHANGES} different fields.</text>
${shown.join('\n')}
</svg>
`;
}
