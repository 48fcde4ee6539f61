import pino, { type DestinationStream, type Logger } from 'pino';

/**
 * Standard output, written in pieces of 8 KB instead of line by line. The rest is written within 100 ms,
 * after a fatal line, and at exit. A SIGKILL can lose it.
 */
export function buffered() {
  const output = pino.destination({ minLength: 8192, periodicFlush: 100, sync: true });
  process.on('exit', () => output.flushSync()); // pino does this only for asynchronous destinations
  return output;
}

/** A log of JSON lines with times in UTC. Default: standard output */
export const createLog = (level: string, destination?: DestinationStream): Logger =>
  pino({ level, timestamp: pino.stdTimeFunctions.isoTime }, destination);
