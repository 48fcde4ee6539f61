// Keeps this page up to date while somebody looks at it. Asking does not keep the session alive.
const tabs = new BroadcastChannel('session-clock');
// The next session may be another user's.
const hasEnded = () => document.querySelector('.ticket [data-while="ended"]:not([hidden])');
const timer = setInterval(() => {
  if (document.visibilityState === 'visible' && !hasEnded()) void ask();
}, 3000);

async function ask() {
  const headers = { accept: 'text/html' };
  const response = await fetch('/session?live', { headers }).catch(() => undefined);
  if (!response?.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), 'text/html');
  const parts = [...document.querySelectorAll('[data-live]')];
  const newer = parts.map(({ id }) => page.getElementById(id));
  if (newer.includes(null)) return clearInterval(timer); // the session has ended
  const changed = parts.map((part, n) => update(part, [...newer[n].children]));
  const { user } = document.querySelector('[data-user]')?.dataset ?? {};
  const { secondsLeft } = page.querySelector('[data-seconds-left]').dataset;
  if (changed.includes(true)) tabs.postMessage({ user, seconds: Number(secondsLeft) });
}

/** Children with the same text stay, with their focus and what is open. */
function update(part, children) {
  const texts = children.map(({ textContent }) => textContent);
  const gone = [...part.children].filter(({ textContent }) => !texts.includes(textContent));
  for (const child of gone) child.remove();
  const added = texts.filter((text, n) => {
    if (part.children[n]?.textContent === text) return false;
    part.insertBefore(children[n], part.children[n] ?? null);
    return true;
  });
  return gone.length + added.length > 0;
}
