import cluster from 'node:cluster';
import { styleText } from 'node:util';
import pino, { type DestinationStream, type Logger } from 'pino';

/**
 * Standard output, written 8 KB at a time to save system calls. A SIGKILL can lose the last 100 ms. If
 * the log's disk is full, the shop goes on: it keeps the next 1 MB until there is room, and drops the rest.
 */
export function buffered() {
  const output = pino.destination({
    minLength: 8192,
    maxLength: 1_000_000,
    periodicFlush: 100,
    sync: true,
  });
  output.on('error', () => {});
  // pino does this only for asynchronous destinations
  process.on('exit', () => {
    try {
      output.flushSync();
    } catch {} // otherwise this process would not end
  });
  return output;
}

export const createLog = (level: string, destination?: DestinationStream): Logger =>
  pino({ level, timestamp: pino.stdTimeFunctions.isoTime }, destination);

/**
 * Keeps a crowd from flooding the log.
 * @param write is called at once for the first event of each `key`. If more come within a minute, it is then
 *   called again, with their number and the error of the first event
 */
export function countRepeats(write: (count: number, key: string, error?: unknown) => void) {
  const counts = new Map<string, number>();
  return function tell(key: string, error?: unknown, count = 1): void {
    const waiting = counts.get(key);
    if (waiting !== undefined) return void counts.set(key, waiting + count);
    write(count, key, error);
    counts.set(key, 0);
    setTimeout(() => {
      const rest = counts.get(key);
      counts.delete(key);
      if (rest) tell(key, error, rest);
    }, 60_000).unref();
  };
}

const COLORS: Record<string, 'dim' | 'yellow' | 'red'> = {
  debug: 'dim',
  warn: 'yellow',
  error: 'red',
  fatal: 'red',
};

/** Lines for a developer's terminal, in place of JSON. */
export function readable(output: NodeJS.WritableStream = process.stdout): DestinationStream {
  return {
    write(json) {
      const { level, time, msg, err, pid, hostname, session, requestId, ...rest } =
        JSON.parse(json);
      const { trace_id, span_id, ...line } = rest;
      const { method, path, status, ms, ...more } = line;
      const isRequest = msg === 'request';
      const label = pino.levels.labels[level] ?? '';
      const color = COLORS[label];
      const text = isRequest ? `${method} ${path} ${status} ${ms} ms` : msg;
      const details = {
        ...(isRequest ? more : { ...line, requestId }),
        ...(cluster.isWorker && { pid }),
      };
      const words = [
        new Date(time).toTimeString().slice(0, 8),
        color ? styleText(color, label.padEnd(5), { stream: output }) : label.padEnd(5),
        text,
        // JSON escapes what a terminal would obey.
        ...Object.entries(details)
          .filter(([, value]) => value !== undefined)
          .map(([name, value]) => `${name}=${JSON.stringify(value)}`),
      ];
      output.write(`${words.join(' ')}\n${err ? `${err.stack}\n` : ''}`);
    },
  };
}
