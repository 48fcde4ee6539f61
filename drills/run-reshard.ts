import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { newVisitors } from '../bench/load.ts';
import { startRedisCluster } from '../test-support/redis.ts';
import { startServer } from '../test-support/start-server.ts';
import { until } from '../test-support/until.ts';
import { countLost, startVisitors } from './visitors.ts';

export type Resharding = {
  /** Keys on each of the three masters, before the move. */
  keys: number[];
  /** Adds answered with 200, and how many of them are in no cart. */
  acknowledged: number;
  lost: number;
  /** Responses other than 200. */
  refused: number;
  longestMs: number;
  /** The keys in the slots that were moved. */
  movedKeys: number;
  /** Commands that a master refused because their keys lie in several slots. */
  crossSlot: number;
};

/** Moves slots from the first master to the second while visitors fill their carts. */
export async function runReshard(sessions: number, slots: number): Promise<Resharding> {
  await using cleanup = new AsyncDisposableStack();
  const cluster = await startRedisCluster();
  cleanup.defer(cluster.stop);
  const app = await startServer({
    SESSION_STORE: 'redis',
    TRUST_PROXY: '1',
    REDIS_URL: cluster.url,
  });
  cleanup.defer(async () => void (await app.stop()));
  const isReady = async () => (await fetch(`${app.origin}/readyz`)).status === 200;
  await until(isReady, 'the app reaches the cluster');
  await newVisitors(app.origin, sessions);
  const ofEach = (ask: (node: (typeof cluster.nodes)[0]) => Promise<number>) =>
    Promise.all(cluster.nodes.map(ask));
  const sizes = () => ofEach(async ({ cli }) => Number(await cli('DBSIZE')));
  const keys = await sizes();

  const visitors = startVisitors(app.origin);
  cleanup.defer(visitors.stop);
  await until(async () => visitors.acknowledged.size === 20, 'each visitor has a cart');
  await sleep(500);
  const [before = 0] = await sizes();
  const [from, to] = await Promise.all(cluster.nodes.map(({ cli }) => cli('CLUSTER', 'MYID')));
  await promisify(execFile)('redis-cli', [
    ...['--cluster', 'reshard', `127.0.0.1:${cluster.nodes[0]?.port}`, '--cluster-yes'],
    ...['--cluster-from', `${from}`, '--cluster-to', `${to}`, '--cluster-slots', `${slots}`],
  ]);
  await sleep(500);
  await visitors.stop();
  const { responses, acknowledged } = visitors;
  const crossSlot = await ofEach(async ({ cli }) =>
    Number(/errorstat_CROSSSLOT:count=(\d+)/.exec(await cli('INFO', 'errorstats'))?.[1] ?? 0),
  );
  return {
    keys,
    acknowledged: responses.filter(({ status }) => status === 200).length,
    lost: await countLost(app.origin, acknowledged),
    refused: responses.filter(({ status }) => status !== 200).length,
    longestMs: Math.max(...responses.map(({ ms }) => ms)),
    movedKeys: before - ((await sizes())[0] ?? 0),
    crossSlot: crossSlot.reduce((sum, n) => sum + n, 0),
  };
}
