// npm run bench:stores              what a read and a change cost with each store, side by side, and with
//                                   many writers on one session. Takes eight minutes.
// npm run bench:stores -- growth    the same with a million sessions. Takes six minutes, and 2 GB of disk.
// npm run bench:stores -- Redis     only this store. Writes nothing.
// Both write their tables into docs/stores.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { estimate, medianOf } from '../statistics.ts';
import {
  contend,
  newVisitor,
  pinLoad,
  type StoreApp,
  startStoreApp,
  type Turn,
  turn,
  type Workload,
  warmUp,
  workloads,
} from './turns.ts';

const ROUNDS = 24;
const TURN_MS = 250;
/** V8 compiles the code fully only after thousands of requests. */
const WARM_UP_REQUESTS = 10_000;
const WRITERS = [1, 10, 50, 200];
const CHANGES = 400;
const MILLION = 1_000_000;
const isGood = (each: Turn) => each.isGood;

/** The plain store of each server, and the name of this repository's. */
const servers: Record<string, [plain: string, ours: string]> = {
  Memory: ['MemoryStore', 'memory'],
  SQLite: ['better-sqlite3-session-store', 'SQLite'],
  Redis: ['connect-redis', 'Redis'],
  PostgreSQL: ['connect-pg-simple', 'PostgreSQL'],
  MariaDB: ['express-mysql-session', 'MariaDB'],
  Memcached: ['connect-memcached', 'Memcached'],
};
const names = Object.keys(workloads) as Workload[];

const args = process.argv.slice(2);
const chosen = Object.keys(servers).filter(
  (server) => args.includes(server) || !args.some((arg) => arg in servers),
);
const say = (line: string) => process.stderr.write(`${line}\n`);
const isPinned = await pinLoad();
await using stack = new AsyncDisposableStack();
const start = async (name: string, url?: string, until = stack) =>
  until.adopt(await startStoreApp(name, isPinned, url), ({ stop }) => stop());

type Turns = Record<Workload, Turn[]>;
type Measured = { name: string; turns: Turns; against?: Turns };

if (args.includes('growth')) report('growth', await growth());
else {
  const apps: StoreApp[] = [];
  for (const server of chosen) {
    const [plain, ours] = servers[server] as [string, string];
    for (const name of [plain, `dropInStore, ${ours}`, `updateSession, ${ours}`])
      apps.push(await start(name));
  }
  report('side by side', sideBySide(await takeTurns(apps)));
  report('writers', await writers(apps));
}

/** Lets the apps take short turns, so that a slow moment of the machine slows neighbours alike. */
async function takeTurns(apps: readonly StoreApp[]): Promise<Map<string, Turns>> {
  const turns = apps.map((): Turns => ({ read: [], change: [] }));
  for (const app of apps) {
    say(`warming up ${app.name}`);
    await warmUp(app, WARM_UP_REQUESTS);
  }
  const order = [...apps.entries()];
  for (let round = 0; round < ROUNDS; round++) {
    say(`round ${round + 1} of ${ROUNDS}`);
    for (const name of names)
      for (const [n, app] of round % 2 ? order.toReversed() : order)
        turns[n]?.[name].push(await turn(app, name, TURN_MS));
  }
  return new Map(apps.map(({ name }, n) => [name, turns[n] as Turns]));
}

function sideBySide(turns: Map<string, Turns>): string {
  const plain = chosen.map((server) => turns.get(servers[server]?.[0] ?? '') as Turns);
  const rows = [...turns].map(([name, mine], n): Measured => {
    if (n % 3 === 0) return { name, turns: mine };
    return { name: `**${name}**`, turns: mine, against: plain[Math.floor(n / 3)] as Turns };
  });
  const text = tables('Store', 'its plain store', rows);
  const [sqlite, redis] = ['SQLite', 'Redis'].map((ours) => turns.get(`updateSession, ${ours}`));
  if (!sqlite || !redis) return text;
  const compared = names.map((name) => {
    const of = (figure: 'rps' | 'cpu') => ratioOf(sqlite[name], redis[name], figure);
    return `- One ${name}: requests a second ${of('rps')}, CPU time ${of('cpu')}`;
  });
  return `${text}\n\nSQLite in one process against Redis, both with \`updateSession\`:\n\n${compared.join('\n')}`;
}

/** A table of each workload. */
function tables(first: string, other: string, rows: readonly Measured[]): string {
  const head = [
    ...[first, 'Requests a second', `Against ${other}`],
    ...['CPU time per request', `Against ${other}`, 'p99'],
  ];
  const texts = names.map((name) => {
    const cells = rows.map(({ name: row, turns, against }) => {
      const of = (figure: 'rps' | 'cpu' | 'p99') =>
        medianOf(turns[name].filter(isGood).map((each) => each[figure]));
      const ratio = (figure: 'rps' | 'cpu') =>
        against ? ratioOf(turns[name], against[name], figure) : '';
      return [
        ...[row, Math.round(of('rps')).toLocaleString('en'), ratio('rps')],
        ...[`${of('cpu').toFixed(3)} ms`, ratio('cpu'), `${of('p99').toFixed(1)} ms`],
      ];
    });
    return `One ${name}:\n\n${table(head, cells)}`;
  });
  const all = rows.flatMap(({ turns }) => names.flatMap((name) => turns[name]));
  const thrown = all.filter((each) => !isGood(each)).length;
  return `${texts.join('\n\n')}\n\n${all.length} turns, of which ${thrown} were disturbed and do not count.`;
}

/** The median of the ratios of neighbouring turns, with its 95 % confidence interval. */
function ratioOf(mine: readonly Turn[], theirs: readonly Turn[], figure: 'rps' | 'cpu'): string {
  const ratios = mine.flatMap((each, n) => {
    const other = theirs[n];
    return other && isGood(each) && isGood(other) ? [each[figure] / other[figure]] : [];
  });
  const { median, low, high } = estimate(ratios);
  if (high === Infinity) return 'too few turns';
  return `${median.toFixed(2)} × (${low.toFixed(2)}–${high.toFixed(2)})`;
}

/** Changes of one session by several writers at once, through two processes if the store can be shared. */
async function writers(apps: readonly StoreApp[]): Promise<string> {
  const rows: string[][] = [];
  for (const app of apps) {
    say(`writers: ${app.name}`);
    const both = app.url ? [app, await start(app.name, app.url)] : [app];
    await contend(both, 10, CHANGES); // warm
    const cells = [];
    for (const count of WRITERS) {
      const { ms, kept } = await contend(both, count, CHANGES);
      cells.push(`${Number((100 * kept).toPrecision(3))} %, ${ms.toFixed(2)} ms`);
    }
    rows.push([app.name.includes(',') ? `**${app.name}**` : app.name, ...cells]);
  }
  return table(
    ['Changes of one session', ...WRITERS.map((n) => (n === 1 ? '1 writer' : `${n} writers`))],
    rows,
  );
}

/** Compares a store of a few thousand sessions with one of a million. */
async function growth(): Promise<string> {
  const rows: Measured[] = [];
  for (const server of chosen) {
    const name = `updateSession, ${servers[server]?.[1]}`;
    await using both = new AsyncDisposableStack();
    const few = await start(name, undefined, both);
    const many = await start(name, undefined, both);
    await newVisitor(many); // this creates the table
    const before = many.usage().memoryMb;
    const began = performance.now();
    await many.fill(MILLION);
    const seconds = Math.round((performance.now() - began) / 1000);
    const bytes = Math.round(((many.usage().memoryMb - before) * 2 ** 20) / MILLION);
    say(`${server}: a million sessions in ${seconds} s, ${bytes} bytes of memory each`);
    const turns = await takeTurns([few, { ...many, name: server }]);
    rows.push({
      name: server,
      turns: turns.get(server) as Turns,
      against: turns.get(name) as Turns,
    });
  }
  return tables('A million sessions', 'a few thousand', rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

/** Prints a table, and writes it between its markers in docs/stores.md if it is complete. */
function report(name: string, text: string): void {
  process.stdout.write(`${text}\n\n`);
  if (chosen.length < Object.keys(servers).length) return;
  const page = new URL('../../docs/stores.md', import.meta.url);
  const between = new RegExp(`(?<=<!-- ${name} -->\n)[^]*(?=<!-- /${name} -->)`);
  writeFileSync(
    page,
    readFileSync(page, 'utf8').replace(between, () => `\n${text}\n\n`),
  );
}
