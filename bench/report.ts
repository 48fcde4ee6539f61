import { type Figures, type Results, ratioOf, type Spread, spreadOf } from './contest.ts';
import type { Workload } from './load.ts';

/** The app's targets: it must reach `least` and should reach `goal`. */
type Goal = {
  what: string;
  workload: Workload;
  measure: keyof Figures;
  against: string;
  least: number;
  goal: number;
};

const view = { workload: 'view', measure: 'rps' } as const;
const add = { workload: 'add', measure: 'rps' } as const;

const goals: Goal[] = [
  {
    what: 'returning view, requests a second',
    ...view,
    against: 'tutorial',
    least: 2.2,
    goal: 2.5,
  },
  { what: '', ...view, against: 'node:http, headers, log', least: 0.6, goal: 0.72 },
  { what: '', ...view, against: 'Fastify', least: 1.8, goal: 2.2 },
  { what: '', ...view, against: 'Hono', least: 1.1, goal: 1.25 },
  { what: 'its CPU time', ...view, measure: 'cpu', against: 'tutorial', least: 0.45, goal: 0.38 },
  { what: 'its p99', ...view, measure: 'p99', against: 'tutorial', least: 0.75, goal: 0.5 },
  { what: 'add to cart', ...add, against: 'careful tutorial', least: 1.5, goal: 1.8 },
  { what: '', ...add, against: 'tutorial', least: 1.15, goal: 1.35 },
  {
    what: 'first view',
    workload: 'first',
    measure: 'rps',
    against: 'tutorial',
    least: 1.8,
    goal: 2.1,
  },
  {
    what: 'static file',
    workload: 'static',
    measure: 'rps',
    against: 'tutorial',
    least: 3.5,
    goal: 5,
  },
];

const titles: Record<Workload, string> = {
  view: 'Returning view',
  member: 'Logged-in view',
  first: 'First view',
  add: 'Add to cart',
  static: 'Static file',
  'log-in': 'Log-in',
};

export type Sizes = { sessionBytes: number; memoryMb: number };

/** The tables of docs/bench.md. */
export function tables(results: Results, { sessionBytes, memoryMb }: Sizes): string {
  const measured = goals.filter(({ workload }) => results[workload]);
  const reached = measured.map(({ what, workload, measure, against, least, goal }) => {
    const ratio = ratioOf(results, workload, measure, 'Cloakroom', against);
    return [`${what || 'the same'}, against ${against}`, least, goal, `**${show(ratio)}**`];
  });
  const names = [...new Set(Object.values(results).flatMap((figures) => Object.keys(figures)))];
  const workloads = Object.keys(results) as Workload[];
  const against = (name: string, workload: Workload, measure: keyof Figures) =>
    results[workload]?.[name] ? show(ratioOf(results, workload, measure, name, 'tutorial')) : '';
  return [
    '### Goals',
    table(
      ['Cloakroom', 'required', 'goal', 'reached'],
      [
        ...reached,
        ['a logged-in session with one cart line in Redis, bytes', 550, 450, `**${sessionBytes}**`],
        ['resident memory after the load, MB', 200, 150, `**${Math.round(memoryMb)}**`],
      ],
    ),
    '### Requests a second, the tutorial’s app = 1',
    table(
      ['', ...workloads.map((workload) => titles[workload])],
      names.map((name) => [name, ...workloads.map((workload) => against(name, workload, 'rps'))]),
    ),
    '### The returning view',
    table(
      ['', 'requests a second', 'CPU time a request, ms', 'p99, ms', 'core in use'],
      names.map((name) => {
        const of = (measure: keyof Figures) =>
          spreadOf((results.view?.[name] ?? []).map((figures) => figures[measure]));
        return [name, show(of('rps'), 0), show(of('cpu'), 3), show(of('p99'), 1), show(of('busy'))];
      }),
    ),
  ].join('\n\n');
}

const table = (head: readonly string[], rows: readonly (string | number)[][]) =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

const show = ({ median, least, most }: Spread, digits = 2) =>
  `${median.toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`;

/** A bar chart of the returning view. It follows the reader's light or dark colour scheme. */
export function chart(results: Results): string {
  const names = Object.keys(results.view ?? {});
  const bars = names.map((name) => ({
    name,
    ...ratioOf(results, 'view', 'rps', name, 'tutorial'),
  }));
  const scale = 420 / Math.max(...bars.map(({ most }) => most));
  const rows = bars.map(({ name, median, least, most }, n) => {
    const y = 56 + n * 34;
    const [end, from, to] = [median, least, most].map((value) => 190 + value * scale) as [
      number,
      number,
      number,
    ];
    return `  <text x="180" y="${y + 15}" text-anchor="end">${name}</text>
  <rect class="${name === 'Cloakroom' ? 'ours' : 'bar'}" x="190" y="${y}" width="${(end - 190).toFixed(1)}" height="22" rx="3"/>
  <path class="range" d="M${from.toFixed(1)} ${y + 11}H${to.toFixed(1)}"/>
  <text x="${(to + 8).toFixed(1)}" y="${y + 15}">${median.toFixed(2)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 ${76 + bars.length * 34}" role="img" aria-label="Returning page view, requests a second, the tutorial's app = 1: ${bars.map(({ name, median }) => `${name} ${median.toFixed(2)}`).join(', ')}">
  <style>
    text { font: 14px system-ui, sans-serif; fill: #24292f }
    .title { font-weight: 600 } .bar { fill: #9aa4b2 } .ours { fill: #b4532a }
    .range { stroke: #24292f; stroke-width: 2 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 } .bar { fill: #57606a } .ours { fill: #e07b4c } .range { stroke: #e6edf3 }
    }
  </style>
  <text class="title" x="20" y="28">Returning page view: requests a second, the tutorial’s app = 1</text>
${rows.join('\n')}
</svg>
`;
}
