// Counts the times down, offers to keep the session in its last minute, and says when it has ended, here
// or elsewhere. Without this script, the page shows the times as they were sent.
const duration = (s) => {
  const parts = { h: Math.floor(s / 3600), min: Math.floor(s / 60) % 60, s: s % 60 };
  const words = Object.entries(parts).flatMap(([unit, n]) => (n > 0 ? [`${n} ${unit}`] : []));
  return words.join(' ') || '0 s';
};
const clocks = [...document.querySelectorAll('[data-seconds-left]')].map((output) => ({
  output,
  endsAt: Date.now() + 1000 * Number(output.dataset.secondsLeft || output.textContent),
  inWords: output.dataset.secondsLeft ? duration : String,
  bar: output.closest('.clock')?.querySelector('progress'),
}));
const [sessionClock] = clocks; // on every page it comes first
const secondsLeft = ({ endsAt }) => Math.max(0, (endsAt - Date.now()) / 1000);

let state = 'open';
function tick() {
  if (state === 'ended') return;
  for (const clock of clocks) {
    clock.output.textContent = clock.inWords(Math.floor(secondsLeft(clock)));
    if (clock.bar) clock.bar.value = secondsLeft(clock);
  }
  const left = secondsLeft(sessionClock);
  enter(left === 0 ? 'ended' : left <= 60 ? 'last-minute' : 'open');
}

/** @param why the sentence that says how the session ended */
function enter(next, why = 'This session has ended.') {
  if (next === state) return;
  state = next;
  const ticket = document.querySelector('.ticket');
  const height = ticket.offsetHeight;
  for (const part of document.querySelectorAll('[data-while]'))
    part.hidden = !part.dataset.while.includes(state);
  // Set again a moment later: a screen reader announces a change only in text that is already visible.
  const say = () => state === 'ended' && ticket.querySelector('[data-why]')?.replaceChildren(why);
  say();
  setTimeout(say, 100);
  // The page below does not move: the ticket has a line to spare.
  ticket.style.marginBottom = `${Math.max(-1.4 * 16, height - ticket.offsetHeight)}px`;
  if (state !== 'ended') return;
  const toGoOn = '[action="/login"], [action="/register"]';
  for (const button of document.querySelectorAll('[type="submit"]'))
    button.disabled = !button.form.matches(toGoOn);
}

/** Each request restarts the idle clock, whichever tab it comes from. */
function restart(seconds) {
  for (const clock of clocks)
    if (!('absolute' in clock.output.dataset)) clock.endsAt = Date.now() + 1000 * seconds;
  tick();
}

/** Asks the server who is logged in, and how long the session lasts now. */
async function ask() {
  const response = await fetch('/login', { headers: { accept: 'application/json' } });
  if (!response.ok) throw new Error(`${response.status}`);
  const { user, session } = await response.json();
  const seconds = session.stored ? session.expiresInSeconds : 0;
  restart(seconds);
  tabs.postMessage(seconds);
  return user;
}

const tabs = new BroadcastChannel('ticket');
if (sessionClock) {
  tabs.addEventListener('message', ({ data }) => restart(data));
  tabs.postMessage(secondsLeft(sessionClock));
  setInterval(tick, 1000);
  const button = document.querySelector('.ticket button');
  button.addEventListener('click', () => void keep(button));
}

async function keep(button) {
  const before = sessionClock.endsAt;
  await ask().catch(() => {}); // offline, or no server: the time runs on
  if (state !== 'last-minute' || sessionClock.endsAt - before > 1000) return;
  button.disabled = true; // the absolute clock runs out
  button.textContent = 'Only a new log-in extends it';
}

const WHY = {
  ended: 'You are logged out.',
  expired: 'Your session has expired.',
  revoked: 'You were logged out here, from another device.',
  otherUser: 'Another user has logged in.',
};
const { user, again } = document.querySelector('[data-user]')?.dataset ?? {};
let checking = false;
async function check() {
  if (!user || checking || document.visibilityState !== 'visible') return;
  checking = true;
  try {
    if ((await ask())?.id !== user) location.replace(again);
  } catch {
    // Offline, or no server: leave the page as it is.
  }
  checking = false;
}
document.addEventListener('visibilitychange', () => void check());
addEventListener('focus', () => void check());
addEventListener('pageshow', ({ persisted }) => void (persisted && check())); // restored from the history

async function currentUser() {
  const headers = { accept: 'application/json' };
  const response = await fetch('/session/events', { headers }).catch(() => undefined);
  return response?.ok ? (await response.json()).user?.id : undefined;
}

/** A page that comes back into view asks by itself. @returns whether this page goes on */
async function onEvent({ ended, user: now }) {
  const isNews = state !== 'ended' && (ended || now !== user);
  if (isNews && document.visibilityState === 'visible') {
    let current = await currentUser(); // this page may be newer than the event
    if (!current) {
      // The cookie of a log-in may be on its way.
      await new Promise((resolve) => setTimeout(resolve, 1000));
      current = await currentUser();
    }
    if (current !== user) enter('ended', WHY[current ? 'otherUser' : (ended ?? 'ended')]);
  }
  return state !== 'ended';
}
if (user) void import('./session-events.js').then(({ follow }) => follow(onEvent));
