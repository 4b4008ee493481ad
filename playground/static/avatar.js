/** Avatars: initials on the person's colour; the bot has the playground's bird. */

import { el } from './dom.js';
import { initials } from './format.js';

export function avatar(user, store, size = 'normal') {
  if (user.id === store.bot.user?.id) {
    return el('img', { class: `avatar avatar-${size}`, src: '/static/icon.svg', alt: '', 'aria-hidden': 'true' });
  }
  const node = el('span', { class: `avatar avatar-${size}`, 'aria-hidden': 'true' },
    initials(user.global_name ?? user.username));
  colour(node, store.userColour(user));
  return node;
}

/** Set through the CSSOM: the page's policy allows no style attributes from a string. */
function colour(node, value) {
  node.style.backgroundColor = value;
}
