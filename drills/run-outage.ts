import { setTimeout as sleep } from 'node:timers/promises';
import { httpClient } from '../test-support/http-client.ts';
import { startServer } from '../test-support/start-server.ts';
import { until } from '../test-support/until.ts';
import { countLost, startVisitors, type TimedResponse } from './visitors.ts';

export type Print = (line: string) => void;

export type Outage = {
  /** The topology and its persistence. */
  setting: string;
  failure: string;
  /** Starts Redis. `failAndRepair` makes it fail, repairs it and says what it does. */
  start(): Promise<Failing>;
};

type Failing = {
  url: string;
  stop: () => Promise<void>;
  failAndRepair: (say: Print) => Promise<void>;
};

export type Outcome = {
  /** Adds answered with 200, in all and before the failure began. */
  acknowledged: number;
  before: number;
  lost: number;
  longestMs: number;
  /** From the first refused request to the response to the last one. */
  unavailableMs: number;
};

/** Runs the outage against the real app, under load. */
export async function runOutage(outage: Outage, print: Print): Promise<Outcome> {
  await using cleanup = new AsyncDisposableStack();
  const redis = await outage.start();
  cleanup.defer(redis.stop);
  const app = await startServer({ SESSION_STORE: 'redis', REDIS_URL: redis.url });
  cleanup.defer(async () => void (await app.stop()));
  const takesAdds = async () => {
    const add = { json: { sku: 'bowler-hat' } };
    return (await httpClient(app.origin).post('/cart/lines', add)).status === 200;
  };
  await until(takesAdds, 'the app takes adds');

  const visitors = startVisitors(app.origin);
  cleanup.defer(visitors.stop);
  const stopReport = reportEachSecond(visitors.responses, print);
  cleanup.defer(stopReport);
  const say = (words: string) => print(`      ${words}`);
  say('All is well.');
  await sleep(1500);
  await until(async () => visitors.responses.length > 100, 'the carts have something to lose');
  const failedAt = performance.now();
  await redis.failAndRepair(say);
  await sleep(1000);
  // One success is not enough: a part of a cluster may be back before the rest.
  await until(async () => !visitors.wereRefusedWithin(1000), 'the app takes adds again');
  say('Nobody has been refused for a second, so the outage is over.');
  await visitors.stop();
  stopReport();

  const { responses, acknowledged } = visitors;
  if (responses.some(({ status }) => status === 0)) throw new Error('A request got no response');
  const kept = responses.filter(({ status }) => status === 200);
  const refused = responses.filter(({ status }) => status === 503);
  const refusedFrom = Math.min(...refused.map(({ at }) => at));
  const refusedUntil = Math.max(...refused.map(({ at, ms }) => at + ms));
  return {
    acknowledged: kept.length,
    before: kept.filter(({ at, ms }) => at + ms < failedAt).length,
    lost: await countLost(app.origin, acknowledged),
    longestMs: Math.max(...responses.map(({ ms }) => ms)),
    unavailableMs: Math.max(0, refusedUntil - refusedFrom),
  };
}

/** @returns a function that stops the reporting */
function reportEachSecond(responses: readonly TimedResponse[], print: Print): () => void {
  let second = 0;
  let reported = 0;
  const report = () => {
    const latest = responses.slice(reported);
    reported = responses.length;
    second += 1;
    const count = (status: number) =>
      latest.filter((response) => response.status === status).length;
    const others = latest.length - count(200) - count(503);
    const slowest = Math.max(0, ...latest.map(({ ms }) => ms));
    print(
      [
        `${String(second).padStart(4)} s`,
        `${String(count(200)).padStart(5)} OK/s`,
        `${String(count(503)).padStart(5)} 503/s`,
        `   slowest ${String(Math.round(slowest)).padStart(5)} ms`,
        ...(others > 0 ? [`   ${others} others`] : []),
      ].join(''),
    );
  };
  const timer = setInterval(report, 1000);
  return () => clearInterval(timer);
}
