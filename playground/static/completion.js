/** The list above the composer: things to complete what is being typed. */

import { el } from './dom.js';

export class Completion {
  #items = [];
  #active = -1;

  /** @param input the field that keeps the focus while the list is used */
  constructor(input) {
    this.input = input;
    this.heading = el('p', { class: 'completion-heading' });
    this.list = el('ul', { class: 'completion-list', id: 'completion-list', role: 'listbox', 'aria-label': 'Suggestions' });
    this.box = el('div', { class: 'completion', hidden: true }, this.heading, this.list);
    this.box.addEventListener('pointerdown', (event) => {
      event.preventDefault();
      const index = [...this.list.children].indexOf(event.target.closest('li'));
      if (index >= 0) this.#items[index].apply();
    });
    input.setAttribute('aria-controls', 'completion-list');
  }

  /**
   * @param heading nodes above the list, or null
   * @param items `{label, detail, mark, apply()}`
   * @param eager Enter takes the first item without it being chosen by an arrow key
   */
  show({ heading = null, items = [], eager = true }) {
    if (!heading && !items.length) {
      this.hide();
      return;
    }
    this.#items = items;
    this.#active = eager && items.length ? 0 : -1;
    this.heading.hidden = !heading;
    this.heading.replaceChildren(...[heading ?? []].flat());
    this.list.replaceChildren(...items.map((item, index) =>
      el('li', { role: 'option', id: `completion-${index}`, class: 'completion-item' },
        item.mark, el('span', { class: 'completion-label' }, item.label),
        item.detail && el('span', { class: 'completion-detail' }, item.detail))));
    this.box.hidden = false;
    this.#mark();
  }

  hide() {
    this.#items = [];
    this.box.hidden = true;
    this.input.removeAttribute('aria-activedescendant');
  }

  /** Use a key for the list; true when it was used up. */
  handleKey(event) {
    if (this.box.hidden) return false;
    if (event.key === 'Escape') {
      this.hide();
      return true;
    }
    if (!this.#items.length) return false;
    switch (event.key) {
      case 'ArrowDown':
        this.#active = (this.#active + 1) % this.#items.length;
        break;
      case 'ArrowUp':
        this.#active = (Math.max(this.#active, 0) - 1 + this.#items.length) % this.#items.length;
        break;
      case 'Tab':
        this.#items[Math.max(this.#active, 0)].apply();
        return true;
      case 'Enter':
        if (this.#active < 0) return false;
        this.#items[this.#active].apply();
        return true;
      default:
        return false;
    }
    this.#mark();
    return true;
  }

  #mark() {
    [...this.list.children].forEach((node, index) => {
      node.setAttribute('aria-selected', String(index === this.#active));
      if (index === this.#active) node.scrollIntoView({ block: 'nearest' });
    });
    if (this.#active >= 0) this.input.setAttribute('aria-activedescendant', `completion-${this.#active}`);
    else this.input.removeAttribute('aria-activedescendant');
  }
}
