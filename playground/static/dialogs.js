/** Small forms on top of the page: a new thread and a new forum post. */

import { el, icon } from './dom.js';

const MAX_NAME_CHARS = 100;
const MAX_TEXT_CHARS = 2000;

/**
 * Ask for a name and a first message.
 *
 * @param needsText whether the first message is required
 * @param onSubmit async ({name, content}); a rejection's message is shown and the form stays
 */
export function askForThread({ title, nameLabel, textLabel, submitLabel, name = '', needsText, onSubmit }) {
  const dialog = document.getElementById('dialog');
  const problem = el('p', { class: 'composer-problem is-error', role: 'alert', hidden: true });
  const nameField = el('input', { id: 'dialog-name', name: 'name', value: name, maxlength: MAX_NAME_CHARS, required: true, autocomplete: 'off' });
  const textField = textLabel
    ? el('textarea', { id: 'dialog-text', name: 'content', rows: '5', maxlength: MAX_TEXT_CHARS, required: needsText })
    : null;
  const submit = el('button', { class: 'button button-primary', type: 'submit' }, submitLabel);
  const form = el('form', { class: 'dialog-form' },
    el('header', {}, el('h2', { id: 'dialog-title' }, title),
      el('button', { class: 'icon-button', type: 'button', 'aria-label': 'Close', onclick: () => dialog.close() }, icon('close'))),
    el('label', { for: 'dialog-name' }, nameLabel), nameField,
    textField && el('label', { for: 'dialog-text' }, textLabel), textField,
    problem,
    el('footer', {},
      el('button', { class: 'button button-secondary', type: 'button', onclick: () => dialog.close() }, 'Cancel'),
      submit));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    submit.disabled = true;
    try {
      await onSubmit({ name: nameField.value.trim(), content: textField?.value.trim() ?? '' });
      dialog.close();
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
      submit.disabled = false;
    }
  });
  dialog.setAttribute('aria-labelledby', 'dialog-title');
  dialog.replaceChildren(form);
  dialog.showModal();
  nameField.focus();
}

/** A click beside a dialog closes it. */
export function closeOnBackdrop(dialog) {
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close();
  });
}
