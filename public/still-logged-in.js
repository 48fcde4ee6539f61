// A page left open may show somebody who is logged out by now. One look, when someone looks at it.
const { user, again } = document.querySelector('[data-user]')?.dataset ?? {};
let looking = false;
async function look() {
  if (looking || document.visibilityState !== 'visible') return;
  looking = true;
  try {
    const response = await fetch('/login', { headers: { accept: 'application/json' } });
    if (response.ok && (await response.json()).user?.id !== user) location.replace(again);
  } catch {
    // No network, or no server: the page stays as it is.
  }
  looking = false;
}
document.addEventListener('visibilitychange', () => void look());
addEventListener('focus', () => void look());
addEventListener('pageshow', ({ persisted }) => void (persisted && look())); // back, from the history
