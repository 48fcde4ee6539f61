// Lets the ticket's time run down. Without this script the page shows the time as it was sent.
const left = document.querySelector('[data-seconds-left]');
if (left) {
  const end = performance.now() + Number(left.textContent) * 1000;
  setInterval(() => {
    left.textContent = String(Math.max(0, Math.floor((end - performance.now()) / 1000)));
  }, 1000);
}
