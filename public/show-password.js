// Adds a Show button to each password field.
for (const field of document.querySelectorAll('[data-password]')) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'quiet show';
  button.textContent = 'Show';
  const show = (shown) => {
    field.type = shown ? 'text' : 'password';
    button.setAttribute('aria-pressed', String(shown)); // says it, so the label stays
  };
  button.addEventListener('click', () => show(field.type === 'password'));
  // Hide it first: browsers remember what is typed into text fields.
  field.form.addEventListener('submit', () => show(false));
  field.after(button);
  show(false);
}
