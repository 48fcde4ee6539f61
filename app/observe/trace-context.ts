import { randomUUID } from 'node:crypto';
import type { Request } from 'express';

declare module 'express-serve-static-core' {
  interface Request {
    trace: TraceIds;
  }
}

/** In every log line about a request, under the names that OpenTelemetry gives them. */
export type TraceIds = { trace_id: string; span_id: string };

/** The span in the proxy that this request belongs to. */
export type ParentSpan = { traceId: string; spanId: string; traceFlags: number };

/**
 * The ids that the proxy has given this request: `X-Request-Id`, and `traceparent` as W3C Trace Context
 * defines it. A visitor could flood the log with text, or send someone else's ids, so these headers
 * count only when they come from a trusted proxy and are well formed.
 */
export function idsFromProxy(req: Request): { requestId?: string; parent?: ParentSpan } {
  const { 'x-request-id': requestId = '', traceparent = '' } = req.headers;
  if (!(requestId || traceparent) || !isFromProxy(req)) return {};
  const [, traceId, spanId, flags = ''] = TRACEPARENT.exec(String(traceparent)) ?? [];
  return {
    ...(/^[\w.:=@/+-]{1,128}$/.test(String(requestId)) && { requestId: String(requestId) }),
    ...(traceId && spanId && { parent: { traceId, spanId, traceFlags: Number(`0x${flags}`) } }),
  };
}

export const newTraceIds = (parent?: ParentSpan): TraceIds => ({
  trace_id: parent?.traceId ?? randomHex(),
  span_id: randomHex().slice(0, 16),
});

// Version 00 ends after the flags. Later versions may go on. Version ff and ids of zeros are invalid.
const TRACEPARENT =
  /^(?!ff|00.{54})[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(?:-|$)/;

const isFromProxy = ({ app, socket }: Request): boolean =>
  app.get('trust proxy fn')(socket.remoteAddress, 0);

// Faster than randomBytes, because Node makes UUIDs in batches.
const randomHex = () => randomUUID().replaceAll('-', '');
