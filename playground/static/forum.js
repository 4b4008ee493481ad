/** A forum channel: its posts as cards, and a way to write a new one. */

import { avatar } from './avatar.js';
import { el, icon, morph } from './dom.js';
import { messageTime, plural, snowflakeDate } from './format.js';
import { authorName } from './message.js';
import { ChannelType, compareIds, THREAD_TYPES } from './store.js';

export class Forum {
  /** @param newPost opens the form for a post in the current forum */
  constructor({ store, newPost }) {
    this.store = store;
    this.view = document.getElementById('forum');
    this.view.addEventListener('click', (event) => {
      if (event.target.closest('[data-action="new-post"]')) newPost();
    });
    store.on('channels', () => this.draw());
  }

  draw() {
    const { store } = this;
    const isForum = store.channel?.type === ChannelType.FORUM;
    this.view.hidden = !isForum;
    if (!isForum) return;
    const posts = [...store.channels.values()]
      .filter((channel) => THREAD_TYPES.has(channel.type) && channel.parent_id === store.channelId)
      .sort((a, b) => compareIds(b.last_message_id ?? b.id, a.last_message_id ?? a.id));
    morph(this.view, el('section', { class: 'forum', id: 'forum', 'aria-label': 'Posts' },
      el('div', { class: 'forum-head' },
        el('p', {}, posts.length ? plural(posts.length, 'post') : 'No posts yet. Ask a question and the bot can help in its thread.'),
        el('button', { class: 'button button-primary', type: 'button', 'data-action': 'new-post' }, icon('plus'), 'New post')),
      el('ul', { class: 'posts' }, posts.map((post) => this.#card(post)))));
  }

  #card(post) {
    const { store } = this;
    const owner = store.users.get(post.owner_id);
    return el('li', {}, el('a', { class: `post${store.unread.has(post.id) ? ' unread' : ''}`, href: `#${post.id}` },
      el('h3', {}, post.name),
      el('p', {},
        owner && [avatar(owner, store, 'tiny'), el('span', {}, authorName(owner))],
        el('span', {}, messageTime(snowflakeDate(post.id))),
        el('span', {}, plural(post.message_count ?? 0, 'message')))));
  }
}
