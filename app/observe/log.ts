import pino, { type DestinationStream, type Logger } from 'pino';

/**
 * Standard output, in pieces of 8 KB rather than a system call for each line. What is left goes out
 * within 100 ms, with a fatal line, and at exit; a SIGKILL can take it.
 */
export function buffered() {
  const output = pino.destination({ minLength: 8192, periodicFlush: 100, sync: true });
  process.on('exit', () => output.flushSync()); // pino does it for asynchronous ones only
  return output;
}

/** One JSON line for each thing that happened, with its time in UTC, to stdout unless told otherwise. */
export const createLog = (level: string, destination?: DestinationStream): Logger =>
  pino({ level, timestamp: pino.stdTimeFunctions.isoTime }, destination);
