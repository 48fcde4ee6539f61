// The alerts and the dashboard of deploy/, in a real Prometheus that reads the shop's metrics while
// things go wrong.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { parse } from 'yaml';
import { startChild } from '../test-support/child.ts';
import { freePort } from '../test-support/free-port.ts';
import { httpClient } from '../test-support/http-client.ts';
import { recipe } from '../test-support/recipe.ts';
import { startRedis } from '../test-support/redis.ts';
import { run } from '../test-support/run.ts';
import { startServer } from '../test-support/start-server.ts';
import { ADA } from '../test-support/start-shop.ts';
import { tempDir } from '../test-support/temp-dir.ts';
import { until } from '../test-support/until.ts';

type Rule = { alert: string; expr: string };
type UnitTest = {
  name: string;
  input_series: { series: string }[];
  alert_rule_test: { alertname: string; exp_alerts?: unknown[] }[];
};

const deploy = new URL('../deploy/', import.meta.url).pathname;
const read = (file: string) => readFileSync(deploy + file, 'utf8');
const rules: Rule[] = parse(read('prometheus/alerts.yml')).groups[0].rules;
const { tests }: { tests: UnitTest[] } = parse(read('prometheus/alerts.test.yml'));

it('promtool accepts the files; each alert has a test in which it is silent, then fires, and a paragraph in the docs', async () => {
  await run('promtool', ['check', 'config', `${deploy}prometheus/prometheus.yml`]);
  await run('promtool', ['test', 'rules', `${deploy}prometheus/alerts.test.yml`]);
  const guide = readFileSync(`${deploy}../docs/operate.md`, 'utf8');
  assert.ok(rules.length >= 10);
  for (const { alert } of rules) {
    const cases = tests.find(({ name }) => name === alert)?.alert_rule_test ?? [];
    assert.deepEqual(
      cases.map(({ alertname, exp_alerts }) => [alertname, exp_alerts?.length]),
      [
        [alert, undefined],
        [alert, 1],
      ],
    );
    assert.match(guide, new RegExp(`^### ${alert}$`, 'm'));
  }
});

/** It reads the metrics twice a second. Its rules look back ten seconds, and fire without a wait. */
async function startPrometheus(t: TestContext, metricsPort: number) {
  const dir = await tempDir('prometheus');
  t.after(() => dir[Symbol.asyncDispose]());
  const config = await recipe('prometheus/prometheus.yml', {
    'scrape_interval: 15s': 'scrape_interval: 400ms',
    'evaluation_interval: 15s': 'evaluation_interval: 400ms',
    '["127.0.0.1:9101", "127.0.0.1:9102"]': `["127.0.0.1:${metricsPort}"]`,
  });
  const hasty = read('prometheus/alerts.yml')
    .replace(/^ *for: .*\n/gm, '')
    .replace(/\[\d+m\]/g, '[10s]');
  writeFileSync(join(dir.path, 'prometheus.yml'), config);
  writeFileSync(join(dir.path, 'alerts.yml'), hasty);
  const origin = `http://127.0.0.1:${await freePort()}`;
  const child = await startChild(
    'prometheus',
    [
      '--config.file=prometheus.yml',
      '--storage.tsdb.path=data',
      `--web.listen-address=${new URL(origin).host}`,
      '--log.level=warn',
    ],
    { cwd: dir.path, ready: async () => (await fetch(`${origin}/-/ready`)).ok },
  );
  t.after(() => child.stop());
  return async (query: string): Promise<{ metric: Record<string, string> }[]> => {
    const response = await fetch(`${origin}/api/v1/query?${new URLSearchParams({ query })}`);
    const { status, data, error } = (await response.json()) as {
      status: string;
      data: { result: { metric: Record<string, string> }[] };
      error?: string;
    };
    assert.equal(status, 'success', `${query}: ${error}`);
    return data.result;
  };
}

it('in a real outage the alerts fire, and every query of the alerts and the dashboard finds what it asks for', async (t) => {
  const redis = await startRedis();
  t.after(redis.stop);
  const metricsPort = await freePort();
  const shop = await startServer({
    SESSION_STORE: 'redis',
    REDIS_URL: redis.url,
    WEB_CONCURRENCY: '2',
    METRICS_PORT: `${metricsPort}`,
  });
  t.after(shop.stop);
  const ask = await startPrometheus(t, metricsPort);
  const fired = async (alert: string) =>
    (await ask(`max_over_time(ALERTS{alertstate="firing",alertname="${alert}"}[10m])`)).length > 0;
  const fires = (alert: string, meanwhile: () => Promise<unknown> = async () => {}) =>
    until(
      async () => {
        await meanwhile();
        return fired(alert);
      },
      alert,
      60_000, // on a busy machine, the two workers seldom run at the same moment
    );

  const visitor = httpClient(shop.origin);
  await visitor.post('/login', { json: ADA });
  await until(async () => (await ask('cloakroom_request_seconds_count')).length > 0, 'scraped');
  // A busy machine may be slow, even for Prometheus, which waits only 400 ms for the metrics.
  assert.deepEqual(await ask('ALERTS{alertname!~"CloakroomSlow|CloakroomDown"}'), []);

  // A request whose body never arrives keeps its worker from ending. One that begins shortly before the
  // drain lasts longer than the drain.
  const type = 'Content-Type: application/json';
  const stick = () => {
    const stuck = connect(shop.port, '127.0.0.1').on('error', () => {});
    stuck.write(`POST /cart/clear HTTP/1.1\r\nHost: shop\r\n${type}\r\nContent-Length: 9\r\n\r\n`);
    t.after(() => stuck.destroy());
  };
  const sticking = setInterval(stick, 100);
  t.after(() => clearInterval(sticking));
  shop.kill('SIGHUP');
  const replaced = async () => shop.output().includes('All workers were replaced');
  await until(replaced, 'replaced');
  clearInterval(sticking);

  const guest = httpClient(shop.origin);
  await guest.post('/cart/lines', { json: { sku: 'bowler-hat' } });
  let changes = 0;
  const change = () =>
    guest.post('/cart/lines/bowler-hat', { json: { quantity: 1 + (changes++ % 9) } });
  let guesses = 0;
  const guess = () =>
    visitor.post('/login', { json: { email: `${guesses++}@x.test`, password: 'wrong' } });
  const many = (task: () => Promise<unknown>) => () =>
    Promise.all(Array.from({ length: 40 }, task));
  await fires('CloakroomLogInFailures', guess);
  await fires('CloakroomLimits', many(guess));
  await fires('CloakroomConflicts', many(change));

  await redis.kill();
  await fires('CloakroomStoreDown', () => visitor.get('/cart'));
  await fires('CloakroomErrors', () => visitor.get('/cart'));
  await until(async () => {
    await visitor.get('/readyz');
    return (await ask('cloakroom_request_seconds_count{route="/readyz",status="503"}')).length > 0;
  }, '/readyz is counted before its worker is killed');
  await redis.restart();
  await until(async () => (await visitor.get('/readyz')).status === 200, 'ready again');

  const newest = [...shop.output().matchAll(/Cloakroom is open.* pid=(\d+)/g)].at(-1)?.[1];
  process.kill(Number(newest), 'SIGKILL');
  await fires('CloakroomWorkerDied');
  await fires('CloakroomDrainCut');

  await until(async () => (await visitor.get('/')).status === 200, 'the shop sells again');
  const now = (expr: string) => expr.replace(/\[(\d+m|\$__rate_interval)\]/g, '[10m]');
  const { panels } = JSON.parse(read('grafana/dashboard.json'));
  const ofPanels: string[] = panels.flatMap(({ targets }: { targets: { expr: string }[] }) =>
    targets.map(({ expr }) => expr),
  );
  const ofAlerts = rules.map(({ expr }) => expr.replace(/ (>|==) [\d.]+\s*$/, ''));
  assert.ok(ofPanels.length >= 12);
  for (const expr of [...ofPanels, ...ofAlerts]) {
    const isAnswered = async () => (await ask(now(expr))).length > 0;
    await until(isAnswered, expr);
  }
  // The unit tests of the alerts use series that the shop exports.
  for (const { series } of tests.flatMap(({ input_series }) => input_series)) {
    const seen = `last_over_time(${series.replace(/instance="[^"]+",/, '')}[10m])`;
    await until(async () => (await ask(seen)).length > 0, series);
  }

  await shop.stop();
  await fires('CloakroomDown');
});
