import pino, { type DestinationStream, type Logger } from 'pino';

/**
 * Standard output, written in pieces of 8 KB to save system calls. The rest is written within 100 ms,
 * with a fatal line, and at exit. A SIGKILL can lose it.
 */
export function buffered() {
  const output = pino.destination({ minLength: 8192, periodicFlush: 100, sync: true });
  process.on('exit', () => output.flushSync()); // pino flushes only asynchronous destinations at exit
  return output;
}

/** Logs JSON lines with the time in UTC, to stdout unless there is another destination. */
export const createLog = (level: string, destination?: DestinationStream): Logger =>
  pino({ level, timestamp: pino.stdTimeFunctions.isoTime }, destination);
