import pino, { type DestinationStream, type Logger } from 'pino';

/** One JSON line for each thing that happened, with its time in UTC, to stdout unless told otherwise. */
export const createLog = (level: string, destination?: DestinationStream): Logger =>
  pino({ level, timestamp: pino.stdTimeFunctions.isoTime }, destination);
