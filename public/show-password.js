// Lets a password be seen while it is typed. Without this script it cannot be.
for (const field of document.querySelectorAll('[data-password]')) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'quiet show';
  const show = (shown) => {
    field.type = shown ? 'text' : 'password';
    button.textContent = shown ? 'Hide' : 'Show';
    button.setAttribute('aria-pressed', String(shown));
  };
  button.addEventListener('click', () => show(field.type === 'password'));
  // So that no browser keeps it as a text.
  field.form.addEventListener('submit', () => show(false));
  field.after(button);
  show(false);
}
