// Lets a password be seen while it is typed. Without this script it cannot be.
for (const field of document.querySelectorAll('[data-password]')) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'quiet show';
  const name = document.querySelector(`label[for="${field.id}"]`)?.textContent ?? 'password';
  const show = (shown) => {
    field.type = shown ? 'text' : 'password';
    button.textContent = shown ? 'Hide' : 'Show';
    button.setAttribute('aria-label', `${button.textContent}: ${name}`);
    button.setAttribute('aria-pressed', String(shown));
  };
  button.addEventListener('click', () => show(field.type === 'password'));
  field.form.addEventListener('submit', () => show(false)); // so that no browser keeps it as a text
  const row = document.createElement('div');
  row.className = 'with-show';
  field.replaceWith(row);
  row.append(field, button);
  show(false);
}
