// Adds a Copy button to each piece of the shop's code. Browsers let a page copy over HTTPS and on localhost.
for (const code of navigator.clipboard ? document.querySelectorAll('figure .code') : []) {
  const button = document.createElement('button');
  const say = (text) => {
    button.textContent = text;
    button.ariaLabel = `${text}: ${code.ariaLabel}`;
  };
  button.type = 'button';
  button.className = 'quiet copy';
  const copy = () => {
    const copied = navigator.clipboard.writeText(code.textContent);
    copied.then(
      () => say('Copied'),
      () => say('Not copied'),
    );
    setTimeout(say, 2000, 'Copy');
  };
  button.addEventListener('click', copy);
  say('Copy');
  code.before(button);
}
