// Lets the times run down. Without this script the page shows them as they were sent.
const start = performance.now();
const clocks = [...document.querySelectorAll('[data-seconds-left]')].map((left) => ({
  left,
  seconds: Number(left.textContent),
  bar: left.closest('.clock')?.querySelector('progress'),
}));
if (clocks.length > 0)
  setInterval(() => {
    const passed = (performance.now() - start) / 1000;
    for (const { left, seconds, bar } of clocks) {
      left.textContent = String(Math.max(0, Math.floor(seconds - passed)));
      if (bar) bar.value = Math.max(0, seconds - passed);
    }
  }, 1000);
