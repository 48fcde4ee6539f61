// Counts down the seconds until the browser loads the page again, which it does even without this script.
const left = document.querySelector('[data-countdown]');
const endsAt = performance.now() + 1000 * Number(left.textContent);
setInterval(() => {
  left.textContent = Math.max(0, Math.ceil((endsAt - performance.now()) / 1000));
}, 250);
