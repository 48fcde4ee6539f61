// npm run bench: measures the app and its alternatives side by side against one Redis. Takes eight
// minutes and writes docs/bench.md and docs/bench.svg. `npm run bench -- view add` measures only these
// two workloads and writes nothing.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startRedis } from '../test-support/redis.ts';
import { compete } from './contest.ts';
import {
  loadCore,
  pinTo,
  redisCore,
  serverCore,
  sessionBytes,
  startContestants,
} from './contestants.ts';
import type { Workload } from './load.ts';
import { chart, tables } from './report.ts';

const print = (line: string) => process.stdout.write(`${line}\n`);
const all: Workload[] = ['view', 'member', 'first', 'add', 'static', 'log-in'];
const wanted = process.argv.slice(2) as Workload[];

await using cleanup = new AsyncDisposableStack();
// Redis inherits the core that this process is on when it starts Redis.
const pin = await pinTo(redisCore, process.pid).then(
  () => true,
  () => false,
);
const redis = await startRedis();
cleanup.defer(redis.stop);
if (pin) await pinTo(loadCore, process.pid);
const where = `servers on core ${serverCore}, load on ${loadCore}, Redis on ${redisCore}`;
print(pin ? where : 'not pinned');
const contestants = await startContestants(redis, pin);
for (const { stop } of contestants) cleanup.defer(stop);

const workloads = wanted.length ? wanted : all;
const options = { rounds: 11, ms: 700, warmUpMs: 4200, sessions: 1000, workloads };
const results = await compete(contestants, options, print);
const ours = contestants.at(-1);
if (!ours) throw new Error('no app took part');
const { memoryMb } = await ours.usage();
const text = tables(results, { memoryMb, sessionBytes: await sessionBytes(ours) });
print(`\n${text}`);
if (wanted.length === 0) {
  const docs = (file: string) => join(import.meta.dirname, '../docs', file);
  const page = await readFile(docs('bench.md'), 'utf8');
  const between = /(?<=<!-- figures -->\n)[\s\S]*(?=<!-- \/figures -->)/;
  await writeFile(
    docs('bench.md'),
    page.replace(between, () => `\n${text}\n\n`),
  );
  await writeFile(docs('bench.svg'), chart(results));
}
