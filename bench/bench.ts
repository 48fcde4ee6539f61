// npm run bench: measures the app and its peers side by side against one Redis. Takes less than ten
// minutes and writes the tables of docs/bench.md, except those for which the machine was too noisy.
// `npm run bench -- member` spends this time on one workload. BENCH_MINUTES=4 takes about four minutes.
// Needs Linux and two cores.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startRedis } from '../test-support/redis.ts';
import { compete } from './contest.ts';
import { startContestants, WORKLOADS } from './contestants.ts';
import { loadCore, pin, redisCore, serverCore } from './machine.ts';
import { tableOf, withTable } from './report.ts';

const print = (line: string) => process.stdout.write(`${line}\n`);
const wanted = process.argv.slice(2);
const workloads = WORKLOADS.filter((one) => wanted.length === 0 || wanted.includes(one));
if (workloads.length === 0) throw new Error(`choose from ${WORKLOADS.join(', ')}`);

await using cleanup = new AsyncDisposableStack();
// Redis inherits the core that this process is on when it starts Redis.
await pin(redisCore, process.pid);
const redis = await startRedis();
cleanup.defer(redis.stop);
await pin(loadCore, process.pid);
print(`servers on core ${serverCore}, load on ${loadCore}, Redis on ${redisCore}`);
const contestants = await startContestants(redis, cleanup, { core: serverCore });
const redisPid = Number(/process_id:(\d+)/.exec(await redis.cli('INFO', 'server'))?.[1]);

const minutes = Number(process.env.BENCH_MINUTES ?? 9.4);
const options = { sessions: 2000, turnMs: 500, warmUpMs: 1000, minutes, workloads, redisPid };
const results = await compete(contestants, options, print);
const tables = results.map(({ workload, rounds }) => tableOf(workload, rounds));
print(`\n${tables.map(({ text }) => text).join('\n\n')}`);
const file = join(import.meta.dirname, '../docs/bench.md');
let page = await readFile(file, 'utf8');
for (const table of tables) {
  if (table.isNoisy) process.exitCode = 1;
  else page = withTable(page, table);
}
await writeFile(file, page);
