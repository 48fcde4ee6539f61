import assert from 'node:assert/strict';
import { registerHooks } from 'node:module';
import { it } from 'node:test';
import express, { type Request } from 'express';
import { httpClient } from '../../test-support/http-client.ts';
import { listen } from '../../test-support/listen.ts';
import { startServer } from '../../test-support/start-server.ts';
import { startShop } from '../../test-support/start-shop.ts';
import { until } from '../../test-support/until.ts';
import { memoryBackend } from '../session/index.ts';

type Span = {
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  attributes: { key: string; value: Record<string, string | number> }[];
  events: { name: string }[];
  status: { code?: number };
};

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const SAMPLED = `00-${TRACE}-${PARENT}-01`;

const lines = (log: string[]) =>
  log.map((line) => JSON.parse(line)).filter(({ requestId }) => requestId);

it('takes the ids of a request only from a trusted proxy, and puts them into each log line', async (t) => {
  const behindProxy = await startShop(memoryBackend(), { trustProxy: ['loopback'] });
  t.after(behindProxy.close);
  const open = await startShop(memoryBackend(), { trustProxy: ['10.0.0.0/8'] });
  t.after(open.close);
  const ids = async (shop: typeof open, headers: Record<string, string>) => {
    shop.log.length = 0;
    const crossSite = { ...headers, 'sec-fetch-site': 'cross-site' };
    const response = await shop.visitor().post('/cart/clear', { headers: crossSite });
    await until(async () => lines(shop.log).length === 2, 'logged');
    const [audit, request] = lines(shop.log);
    assert.equal(audit.event, 'refused');
    const idsOf = ({ requestId, trace_id, span_id }: Record<string, string>) =>
      [requestId, trace_id, span_id] as const;
    assert.deepEqual(idsOf(audit), idsOf(request));
    assert.equal(response.headers.get('x-request-id'), audit.requestId);
    assert.match(audit.trace_id, /^[\da-f]{32}$/);
    assert.match(audit.span_id, /^[\da-f]{16}$/);
    return { request: audit.requestId, trace: audit.trace_id, span: audit.span_id };
  };
  const sent = { 'x-request-id': 'edge-7/a+b==', traceparent: SAMPLED };
  const taken = await ids(behindProxy, sent);
  assert.deepEqual([taken.request, taken.trace], ['edge-7/a+b==', TRACE]);
  assert.notEqual(taken.span, PARENT);
  assert.equal(
    (await ids(behindProxy, { traceparent: `42-${TRACE}-${PARENT}-01-new` })).trace,
    TRACE,
  );

  const made = await ids(open, sent);
  assert.match(made.request, /^[\da-f]{8}-/);
  assert.notEqual(made.trace, TRACE);

  const malformed = ['', 'a b', 'x'.repeat(129), '{"level":60}', 'é', 'a, b'];
  for (const id of malformed)
    assert.match((await ids(behindProxy, { 'x-request-id': id })).request, /^[\da-f]{8}-/, id);
  const traces = [
    `ff-${TRACE}-${PARENT}-01`,
    `00-${TRACE}-${PARENT}-01-more`,
    `00-${TRACE}-${PARENT}-011`,
    `00-${'0'.repeat(32)}-${PARENT}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${PARENT}-01`,
    `${SAMPLED}, ${SAMPLED}`,
  ];
  for (const traceparent of traces)
    assert.notEqual((await ids(behindProxy, { traceparent })).trace, TRACE, traceparent);
});

/** It speaks OTLP in JSON. */
async function startCollector() {
  const spans: Span[] = [];
  const services = new Set<unknown>();
  const app = express().use(express.json({ limit: '10mb' }));
  app.post('/v1/traces', (req, res) => {
    for (const { resource, scopeSpans } of req.body.resourceSpans) {
      for (const { key, value } of resource.attributes)
        if (key === 'service.name') services.add(value.stringValue);
      for (const scope of scopeSpans) spans.push(...scope.spans);
    }
    res.json({});
  });
  return { ...(await listen(app)), spans, services };
}

const attribute = (span: Span | undefined, name: string) =>
  Object.values(span?.attributes.find(({ key }) => key === name)?.value ?? {})[0];

it('sends the spans of a request, its round trips and its retries to a collector; the log has the same ids', async (t) => {
  let isLoaded = false;
  const hooks = registerHooks({
    load: (url, context, nextLoad) => {
      isLoaded ||= url.includes('/@opentelemetry/sdk-trace/');
      return nextLoad(url, context);
    },
  });
  t.after(() => hooks.deregister());
  await import('../process/worker.ts');
  assert.ok(!isLoaded);
  const { startTracing } = await import('./tracing.ts');
  assert.ok(isLoaded);

  const collector = await startCollector();
  t.after(collector.close);
  const errors: unknown[] = [];
  const tracing = startTracing(collector.origin, (error) => errors.push(error));
  const memory = memoryBackend();
  const odd: (() => Promise<boolean>)[] = [];
  const compareAndSet: typeof memory.compareAndSet = (...args) =>
    odd.shift()?.() ?? memory.compareAndSet(...args);
  const shop = await startShop({ ...memory, compareAndSet }, { tracing, trustProxy: 1 });
  t.after(shop.close);
  const visitor = shop.visitor();
  await visitor.get('/');
  odd.push(async () => false);
  const headers = { traceparent: SAMPLED };
  assert.equal((await visitor.get('/?password=x', { headers })).status, 200);
  odd.push(() => Promise.reject(new Error('gone')));
  const failed = await visitor.post('/cart/lines', { json: { sku: 'bowler-hat' } });
  assert.equal(failed.status, 503);
  await visitor.get('/cart', { headers: { traceparent: `00-${'a'.repeat(32)}-${PARENT}-00` } });
  await tracing.stop();

  const { spans } = collector;
  const view = spans.find(({ parentSpanId }) => parentSpanId === PARENT);
  assert.deepEqual(
    ['http.route', 'url.path', 'http.response.status_code'].map((name) => attribute(view, name)),
    ['/', '/', 200],
  );
  assert.deepEqual([view?.name, view?.traceId], ['GET /', TRACE]);
  assert.deepEqual(
    view?.events.map(({ name }) => name),
    ['conflict'],
  );
  const logged = lines(shop.log).find(({ trace_id }) => trace_id === TRACE);
  assert.equal(logged.span_id, view?.spanId);
  assert.equal(attribute(view, 'cloakroom.request_id'), logged.requestId);
  const trips = spans.filter(({ parentSpanId }) => parentSpanId === view?.spanId);
  assert.deepEqual(
    trips.map((trip) => [trip.name, attribute(trip, 'cloakroom.outcome')]),
    [
      ['session get', 'ok'],
      ['session compareAndSet', 'refused'],
      ['session get', 'ok'],
      ['session compareAndSet', 'ok'],
    ],
  );
  const add = spans.find(({ name }) => name === 'POST /cart/lines');
  const broken = spans.find((span) => attribute(span, 'cloakroom.outcome') === 'failed');
  assert.deepEqual([add?.status.code, broken?.status.code], [2, 2]);
  assert.equal(broken?.parentSpanId, add?.spanId);
  assert.ok(
    !spans.some(({ traceId }) => traceId === 'a'.repeat(32)),
    'the proxy did not sample it',
  );
  assert.deepEqual([...collector.services], ['cloakroom']);
  assert.equal(errors.length, 0);

  const lost = startTracing(`${collector.origin}/nowhere`, (error) => errors.push(error));
  lost.begin({ method: 'GET', originalUrl: '/' } as Request, undefined).end(200, '/');
  await lost.stop();
  assert.equal(errors.length, 1);
});

it('OTEL_EXPORTER_OTLP_ENDPOINT switches traces on; a collector that is down delays no request', async (t) => {
  const collector = await startCollector();
  t.after(collector.close);
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.origin}/`, OTEL_SERVICE_NAME: 'shop-7' };
  const server = await startServer(env);
  t.after(server.stop);
  const get = async () => (await httpClient(server.origin).get('/')).status;
  assert.equal(await get(), 200);
  await until(async () => collector.spans.some(({ name }) => name === 'GET /'), 'received');
  assert.deepEqual([...collector.services], ['shop-7']);
  await collector.close();
  assert.equal(await get(), 200);
  assert.equal(await server.stop(), 0);
});
