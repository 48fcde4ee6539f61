import pino, { type DestinationStream, type Logger } from 'pino';

/** Standard output in pieces of 8 KB, to save system calls. A SIGKILL can lose the last 100 ms. */
export function buffered() {
  const output = pino.destination({ minLength: 8192, periodicFlush: 100, sync: true });
  process.on('exit', () => output.flushSync()); // pino does this only for asynchronous destinations
  return output;
}

export const createLog = (level: string, destination?: DestinationStream): Logger =>
  pino({ level, timestamp: pino.stdTimeFunctions.isoTime }, destination);
