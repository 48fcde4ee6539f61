// A preload of the app's processes: their clock is ahead by the milliseconds in the file CLOCK_AHEAD.
import { readFileSync } from 'node:fs';

const real = Date.now;
let ahead = 0;
Date.now = () => real() + ahead;
const read = () => {
  ahead = Number(readFileSync(process.env.CLOCK_AHEAD ?? '', 'utf8'));
};
read();
setInterval(read, 50).unref();
