// Sends forms with data-in-place in the background and shows the response without a jump: the focused
// element keeps the focus and its place on the screen. Without this script, they are ordinary forms.
const userIn = (root) => root.querySelector('[data-user]')?.dataset.user;
const find = (id) => document.getElementById(id);
const tabs = new BroadcastChannel('session-clock');
let queue = Promise.resolve();

addEventListener('submit', (event) => {
  const { target: form, submitter } = event;
  if (!form.matches('[data-in-place]')) return;
  event.preventDefault();
  // By id, because a response under way will replace this button with one that has a newer value.
  queue = queue.then(() => send(submitter.id)).catch(() => location.reload());
});

async function send(id) {
  const button = find(id);
  if (!button || button.disabled) return;
  const body = new URLSearchParams(new FormData(button.form, button));
  const headers = { accept: 'text/html' };
  const response = await fetch(button.form.action, { method: 'POST', body, headers });
  const page = new DOMParser().parseFromString(await response.text(), 'text/html');
  if (response.redirected) history.replaceState(null, '', response.url);
  const left = page.querySelector('.ticket [data-seconds-left]'); // an error page may have none
  const user = userIn(page);
  // Somebody has logged in or out elsewhere.
  if (left && user !== userIn(document)) return location.reload();
  const held = document.activeElement.closest('main [id]:not(main)') ?? button;
  const before = held.getBoundingClientRect().top;
  for (const part of ['header', 'main'])
    document.body.replaceChild(page.querySelector(part), document.querySelector(part));
  document.title = page.title;
  if (left) tabs.postMessage({ user, seconds: Number(left.textContent) });

  const usable = [held.id, held.dataset.else].map(find).find((each) => each && !each.disabled);
  const next = usable ?? find('content');
  next.focus({ preventScroll: true });
  const top = next.getBoundingClientRect().top - before;
  if (next.id === held.id) scrollBy({ top, behavior: 'instant' });
  else next.scrollIntoView({ block: 'nearest' });
}
