// Sends forms with data-in-place in the background and shows the answer without a jump: what has the
// focus keeps it, and its place on the screen. Without this script, they are ordinary forms.
const find = (id) => document.getElementById(id);
const tabs = new BroadcastChannel('ticket');
let queue = Promise.resolve();

addEventListener('submit', (event) => {
  const { target: form, submitter } = event;
  if (!form.matches('[data-in-place]')) return;
  event.preventDefault();
  // By id: an answer on its way will replace this button by one with newer values.
  queue = queue.then(() => send(submitter.id)).catch(() => location.reload());
});

async function send(id) {
  const button = find(id);
  if (!button || button.disabled) return;
  const { form } = button;
  const body = new URLSearchParams(new FormData(form, button));
  const response = await fetch(form.action, {
    method: 'POST',
    body,
    headers: { accept: 'text/html' },
  });
  const page = new DOMParser().parseFromString(await response.text(), 'text/html');
  const main = document.querySelector('main');
  const held = main.contains(document.activeElement) ? document.activeElement : button;
  const before = held.getBoundingClientRect().top;
  for (const part of ['header', 'main'])
    document.querySelector(part).replaceWith(page.querySelector(part));
  document.title = page.title;
  if (response.redirected) history.replaceState(null, '', response.url);
  const left = page.querySelector('.ticket [data-seconds-left]');
  if (left) tabs.postMessage(Number(left.textContent));

  const usable = (element) => element && !element.disabled;
  const next = [held.id, held.dataset.else].map(find).find(usable) ?? find('content');
  next.focus({ preventScroll: true });
  if (next.id === held.id)
    scrollBy({ top: next.getBoundingClientRect().top - before, behavior: 'instant' });
  else next.scrollIntoView({ block: 'nearest' });
}
