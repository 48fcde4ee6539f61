// Adds a Show button to each password field.
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
  // Hide it first: browsers remember what is typed into text fields.
  field.form.addEventListener('submit', () => show(false));
  field.after(button);
  show(false);
}
