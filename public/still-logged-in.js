// An open page may show a user who has logged out since. Each time the visitor comes back to the page,
// ask the server.
const { user, again } = document.querySelector('[data-user]')?.dataset ?? {};
let checking = false;
async function check() {
  if (checking || document.visibilityState !== 'visible') return;
  checking = true;
  try {
    const response = await fetch('/login', { headers: { accept: 'application/json' } });
    if (response.ok && (await response.json()).user?.id !== user) location.replace(again);
  } catch {
    // Offline, or no server: leave the page as it is.
  }
  checking = false;
}
document.addEventListener('visibilitychange', () => void check());
addEventListener('focus', () => void check());
addEventListener('pageshow', ({ persisted }) => void (persisted && check())); // restored from the history
