// Counts the times down. Without this script, the page shows them as they were sent.
const start = performance.now();
const duration = (s) => {
  const parts = { h: Math.floor(s / 3600), min: Math.floor(s / 60) % 60, s: s % 60 };
  const words = Object.entries(parts).flatMap(([unit, n]) => (n > 0 ? [`${n} ${unit}`] : []));
  return words.join(' ') || '0 s';
};
const clocks = [...document.querySelectorAll('[data-seconds-left]')].map((left) => ({
  left,
  seconds: Number(left.dataset.secondsLeft || left.textContent),
  inWords: left.dataset.secondsLeft ? duration : String,
  bar: left.closest('.clock')?.querySelector('progress'),
}));
if (clocks.length > 0)
  setInterval(() => {
    const passed = (performance.now() - start) / 1000;
    for (const { left, seconds, inWords, bar } of clocks) {
      left.textContent = inWords(Math.max(0, Math.floor(seconds - passed)));
      if (bar) bar.value = Math.max(0, seconds - passed);
    }
  }, 1000);
