// Adds a Copy button to each piece of the shop's code. Browsers let a page copy over HTTPS and on localhost.
for (const code of navigator.clipboard ? document.querySelectorAll('figure .code') : []) {
  const button = document.createElement('button');
  const say = (text) => {
    button.textContent = text;
    button.ariaLabel = `${text}: ${code.ariaLabel}`;
  };
  button.type = 'button';
  button.className = 'quiet copy';
  const copy = async () => {
    await navigator.clipboard.writeText(code.textContent);
    say('Copied');
    setTimeout(say, 2000, 'Copy');
  };
  button.addEventListener('click', () => void copy());
  say('Copy');
  code.before(button);
}
