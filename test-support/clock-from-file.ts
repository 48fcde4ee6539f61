// A preload of the app's processes: their clock is ahead by the milliseconds in the file CLOCK_AHEAD.
// Each look at the clock reads the file, so that all processes see a change at the same moment.
import { readFileSync } from 'node:fs';

const real = Date.now;
let ahead = 0;
Date.now = () => {
  const text = readFileSync(process.env.CLOCK_AHEAD ?? '', 'utf8');
  if (text !== '') ahead = Number(text); // it is empty while it is being written
  return real() + ahead;
};
