import { type Rounds, ratioOf, type Turn } from './contest.ts';
import { OURS } from './contestants.ts';
import type { Workload } from './load.ts';
import { type Estimate, isNoise, medianOf } from './statistics.ts';

/** `goal`: a peer that does the shop's work should need at least this many times the shop's CPU time. */
const TABLES: Partial<Record<Workload, { title: string; goal: number }>> = {
  view: { title: 'A guest’s view', goal: 1.5 },
  member: { title: 'A logged-in view', goal: 1.2 },
  add: { title: 'A guest’s add to the cart', goal: 1.2 },
};

/** The table of one workload. If the machine was too noisy for a table, the text says so instead. */
export function tableOf(workload: Workload, rounds: Rounds) {
  const { title = '', goal = 0 } = TABLES[workload] ?? {};
  const turns = rounds.flat();
  const names = new Set(turns.map(({ name }) => name).filter((name) => name !== OURS));
  const ratios = Array.from(names, (name) => ({ name, ratio: ratioOf(rounds, name) }));
  const row = (name: string, ratio: string, reached = '') => {
    const good = turns.filter((turn) => turn.name === name && !turn.fault);
    const of = (measure: 'cpu' | 'rps' | 'p99', digits: number) =>
      medianOf(good.map((turn) => turn[measure])).toFixed(digits);
    return [name, of('cpu', 3), ratio, reached, of('rps', 0), of('p99', 1)];
  };
  const head = [
    '',
    'CPU time per request, ms',
    `${OURS} = 1`,
    'goal',
    'requests a second',
    'p99, ms',
  ];
  const table = [
    head,
    head.map(() => '---'),
    row(OURS, '1'),
    ...ratios.map(({ name, ratio }) => {
      const hasGoal = name.endsWith('work');
      return row(name, `**${show(ratio)}**`, hasGoal ? `${goal}: ${verdict(ratio, goal)}` : '');
    }),
  ].map((cells) => `| ${cells.join(' | ')} |`);
  const noisy = ratios
    .filter(({ ratio }) => isNoise(ratio, goal))
    .map(({ name, ratio }) => `${name} ${show(ratio)}`);
  const isNoisy = noisy.length > 0;
  const body = isNoisy
    ? `This machine is too noisy for a table: ${noisy.join('; ')}.`
    : table.join('\n');
  const count = (fault: Turn['fault']) => turns.filter((turn) => turn.fault === fault).length;
  const thrown = `${turns.length} turns. Thrown away: ${count('stolen')} with stolen time, ${count('disturbed')} with another process on the core.`;
  return { title, isNoisy, text: `### ${title}\n\n${body}\n\n${thrown}` };
}

/** The page with this table in place of its earlier version. */
export function withTable(page: string, { title, text }: { title: string; text: string }): string {
  const earlier = new RegExp(`### ${title}\\n.*?(?=\\n\\n(###|<!--))`, 's');
  return page.replace(earlier, () => text);
}

function verdict({ low, high }: Estimate, goal: number): string {
  if (low >= goal) return 'reached';
  return high < goal ? 'missed' : 'undecided';
}

const show = ({ median, low, high }: Estimate) =>
  `${median.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`;
