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
const { user, again } = document.querySelector('[data-user]')?.dataset ?? {}; // whose page this is

let state = 'open';
let endedWhy; // the sentence that says how the session ended, before its clock ran out
const closed = new Set(); // the buttons that this script has disabled
function tick() {
  for (const clock of clocks) {
    clock.output.textContent = clock.inWords(Math.floor(secondsLeft(clock)));
    if (clock.bar) clock.bar.value = secondsLeft(clock);
  }
  const left = secondsLeft(sessionClock);
  enter(endedWhy || left === 0 ? 'ended' : left <= 60 ? 'last-minute' : 'open');
}

function enter(next) {
  if (next === state) return;
  if (state === 'ended') void following?.then((join) => join());
  state = next;
  const ticket = document.querySelector('.ticket');
  const height = ticket.offsetHeight + (Number.parseFloat(ticket.style.marginBottom) || 0);
  for (const part of document.querySelectorAll('[data-while]'))
    part.hidden = !part.dataset.while.includes(state);
  // Set again a moment later: a screen reader announces a change only in text that is already visible.
  const why = endedWhy ?? 'This session has ended.';
  const say = () => state === 'ended' && ticket.querySelector('[data-why]')?.replaceChildren(why);
  say();
  setTimeout(say, 100);
  // The page below does not move: the ticket has a line to spare.
  ticket.style.marginBottom = `${Math.max(-1.4 * 16, height - ticket.offsetHeight)}px`;
  for (const button of closed) button.disabled = false;
  closed.clear();
  if (state !== 'ended') return;
  const toGoOn = '[action="/login"], [action="/register"]';
  for (const button of document.querySelectorAll('[type="submit"]:enabled'))
    if (!button.form.matches(toGoOn)) closed.add(button);
  for (const button of closed) button.disabled = true;
}

/** Each request restarts the idle clock, whichever tab it comes from. */
function restart(seconds) {
  endedWhy = undefined;
  for (const clock of clocks)
    if (!('absolute' in clock.output.dataset)) clock.endsAt = Date.now() + 1000 * seconds;
  tick();
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const GUEST = 'guest';
/**
 * On a user's page, asks again while nobody is logged in: the cookie of a log-in may be on its way.
 * @param ask returns who is logged in now, and throws if the server does not answer
 */
async function settled(ask) {
  for (let tries = 1; ; tries++) {
    const now = await ask();
    if ((now && now !== GUEST) || !user || tries === 3) return now;
    await wait(1000);
  }
}

async function fetchJson(path) {
  const response = await fetch(path, { headers: { accept: 'application/json' } });
  if (!response.ok) throw new Error(`${response.status}`);
  return response.json();
}

/** Restarts the idle clock. @returns the user, GUEST, or undefined if there is no session */
async function keepAlive() {
  const { user: now, session } = await fetchJson('/login');
  const seconds = session.expiresInSeconds;
  if (!session.stored) return undefined;
  if (now?.id === user) {
    restart(seconds);
    tabs.postMessage({ user, seconds });
  }
  return now?.id ?? GUEST;
}

const tabs = new BroadcastChannel('session-clock');
if (sessionClock) {
  tabs.addEventListener('message', ({ data }) => {
    // A guest's next session has another cart.
    if (data.user === user && (user || state !== 'ended')) restart(data.seconds);
  });
  tabs.postMessage({ user, seconds: secondsLeft(sessionClock) });
  setInterval(tick, 1000);
  const button = document.querySelector('.ticket button');
  button.addEventListener('click', () => void keep(button));
}

async function keep(button) {
  const before = sessionClock.endsAt;
  let now;
  try {
    now = await settled(keepAlive);
  } catch {
    return; // offline, or no server: the time runs on, and the button stays
  }
  const isAnother = now && now !== GUEST && now !== user;
  if (isAnother) return location.replace(again ?? location.pathname);
  if (now !== (user ?? GUEST)) return restart(0);
  if (state !== 'last-minute' || sessionClock.endsAt - before > 1000) return;
  button.disabled = true; // the absolute clock runs out
  button.textContent = 'Only a new log-in extends it';
}

const WHY = {
  ended: 'You are logged out.',
  expired: 'Your session has expired.',
  revoked: 'Your session was ended elsewhere.',
  otherUser: 'Another user has logged in.',
};
let checking = false;
async function check() {
  if (!user || checking || document.visibilityState !== 'visible') return;
  checking = true;
  try {
    if ((await settled(keepAlive)) !== user) location.replace(again);
  } catch {
    // Offline, or no server: leave the page as it is.
  }
  checking = false;
}
document.addEventListener('visibilitychange', () => void check());
addEventListener('focus', () => void check());
addEventListener('pageshow', ({ persisted }) => void (persisted && check())); // restored from the history

const currentUser = async () => (await fetchJson('/session/events')).user?.id;

/** A page that comes back into view asks by itself. @returns whether this page goes on */
async function onEvent({ ended, user: now }) {
  if (document.visibilityState !== 'visible') return state !== 'ended';
  if (state === 'ended') {
    if (endedWhy && now === user) void check(); // the user is back
  } else if (ended || now !== user) {
    // This page may be newer than the event. Without an answer, it stays as it is.
    const current = await settled(currentUser).catch(() => wait(3000).then(() => user));
    if (current !== user) endedWhy = WHY[current ? 'otherUser' : (ended ?? 'ended')];
    tick();
  }
  return state !== 'ended';
}
const following = user && import('./session-events.js').then(({ follow }) => follow(onEvent));
