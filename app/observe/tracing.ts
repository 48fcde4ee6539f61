// Only loaded when OTEL_EXPORTER_OTLP_ENDPOINT is set: see docs/operate.md.
import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DiagConsoleLogger,
  DiagLogLevel,
  diag,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { Request } from 'express';
import type { SessionEvent } from '../session/index.ts';
import type { RoundTrip } from '../storage/timed.ts';
import { routeOf } from './metrics.ts';
import type { ParentSpan } from './trace-context.ts';

export type Tracing = ReturnType<typeof startTracing>;

/**
 * Sends a span for each request, and one for each of its round trips to a store, to a collector that
 * speaks OTLP. If the collector fails, spans are lost, and no request waits.
 * @param endpoint without `/v1/traces`
 */
export function startTracing(endpoint: string, onError: (error: unknown) => void) {
  const error = (...words: unknown[]) => onError(new Error(words.join(' ')));
  diag.setLogger(Object.assign(new DiagConsoleLogger(), { error }), DiagLogLevel.ERROR);
  const exporter = new OTLPTraceExporter({ url: `${endpoint}/v1/traces`, timeoutMillis: 3000 });
  const provider = new TracerProvider({
    // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override and extend it.
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'cloakroom' }))
      .merge(detectResources({ detectors: [envDetector] })),
    spanLimits: { attributeValueLengthLimit: 200 },
    spanProcessors: [new BatchSpanProcessor({ exporter, scheduledDelayMillis: 1000 })],
  });
  const tracer = provider.getTracer('cloakroom');
  const current = new AsyncLocalStorage<ReturnType<typeof tracer.startSpan>>();

  /** Traces a request, unless the proxy has decided not to sample it. */
  function begin(req: Request, parent: ParentSpan | undefined) {
    const context = parent
      ? trace.setSpanContext(ROOT_CONTEXT, { ...parent, isRemote: true })
      : ROOT_CONTEXT;
    const span = tracer.startSpan(req.method, { kind: SpanKind.SERVER }, context);
    const { traceId, spanId } = span.spanContext();
    const end = (status: number, path: string | undefined) => {
      const route = routeOf(req);
      span.updateName(`${req.method} ${route}`).setAttributes({
        'http.request.method': req.method,
        'http.response.status_code': status,
        'http.route': route,
        'url.path': path,
        'cloakroom.request_id': req.requestId,
      });
      if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    };
    const run = (next: () => void) => current.run(span, next);
    return { ids: { trace_id: traceId, span_id: spanId }, run, end };
  }

  function onTrip({ of, operation, outcome, ms }: RoundTrip & { of: string }): void {
    const parent = current.getStore();
    if (!parent) return;
    const now = performance.now();
    const attributes = { 'db.operation.name': operation, 'cloakroom.outcome': outcome };
    const options = { kind: SpanKind.CLIENT, startTime: now - ms, attributes };
    const context = trace.setSpan(ROOT_CONTEXT, parent);
    const span = tracer.startSpan(`${of} ${operation}`, options, context);
    if (outcome === 'failed') span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(now);
  }

  /** Marks a conflict, after which the change is tried again. */
  const onEvent = ({ type }: SessionEvent) => {
    if (type === 'conflict') current.getStore()?.addEvent('conflict');
  };

  /** Sends what is left, for at most a second. */
  const stop = async () => {
    await Promise.race([
      provider.shutdown().catch(onError),
      sleep(1000, undefined, { ref: false }),
    ]);
  };

  return { begin, onTrip, onEvent, stop };
}
