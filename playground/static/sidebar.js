/** The sidebar: the bot's state, channels with their threads or callers, and whom to speak as. */

import { avatar } from './avatar.js';
import { el, icon, morph } from './dom.js';
import { authorName } from './message.js';
import { ChannelType, compareIds, THREAD_TYPES } from './store.js';

const POSTS_SHOWN = 6;

/** Groups in their order; a channel of another type is not shown. */
const GROUPS = [
  { title: 'Channels', mark: 'hash', has: ({ type }) => type === ChannelType.TEXT || type === ChannelType.NEWS },
  { title: 'Forums', mark: 'forum', has: ({ type }) => type === ChannelType.FORUM },
  { title: 'Voice channels', mark: 'speaker', has: ({ type }) => type === ChannelType.VOICE },
];

export class Sidebar {
  /** @param joinVoice called with the id of a voice channel, in a click on it */
  constructor({ store, joinVoice }) {
    this.store = store;
    this.groups = document.getElementById('channel-groups');
    this.people = document.getElementById('people');
    this.botState = document.getElementById('bot-state');
    this.people.addEventListener('change', (event) => store.speakAs(event.target.value));
    this.groups.addEventListener('click', (event) => {
      const channelId = event.target.closest('[data-join]')?.dataset.channel;
      if (!channelId) return;
      store.select(channelId);
      joinVoice(channelId);
    });
    for (const name of ['world', 'channels', 'selection', 'bot', 'voice']) store.on(name, () => this.draw());
  }

  draw() {
    const { store } = this;
    document.getElementById('guild-name').textContent = store.guild.name;
    morph(this.botState, el('p', { class: `bot-state ${store.bot.online ? 'online' : 'offline'}`, id: 'bot-state' },
      `${authorName(store.bot.user)} is ${store.bot.online ? 'online' : 'offline'}`));
    morph(this.groups, el('div', { class: 'channel-groups', id: 'channel-groups' },
      GROUPS.map((group) => this.#group(group)),
      this.#directMessages()));
    morph(this.people, this.#switcher());
  }

  #group({ title, mark, has }) {
    const channels = [...this.store.channels.values()].filter(has)
      .sort((a, b) => (a.position ?? 0) - (b.position ?? 0) || compareIds(a.id, b.id));
    if (!channels.length) return null;
    return el('section', { class: 'group' }, el('h3', {}, title),
      el('ul', {}, channels.map((channel) => el('li', {}, channel.type === ChannelType.VOICE
        ? [this.#voiceEntry(channel, icon(mark)), this.#callers(channel)]
        : [this.#entry(channel, icon(mark)), this.#threads(channel)]))));
  }

  /** A voice channel is joined by a click; its chat can be opened without. */
  #voiceEntry(channel, mark) {
    return el('div', { class: 'voice-entry' },
      this.#entry(channel, mark, { joins: true }),
      el('a', { class: 'icon-button voice-chat', href: `#${channel.id}`, 'aria-label': `Open the chat of ${channel.name}`, title: 'Open chat' },
        icon('chat')));
  }

  #callers(channel) {
    const { store } = this;
    const states = store.voiceStatesIn(channel.id);
    if (!states.length) return null;
    return el('ul', { class: 'callers', 'aria-label': `In ${channel.name}` }, states.map((state) => {
      const user = store.users.get(state.user_id);
      const speaks = store.speaking.has(user.id);
      return el('li', { class: `caller${speaks ? ' speaking' : ''}`, 'data-user': user.id },
        el('span', { class: 'caller-ring', role: speaks && 'img', 'aria-label': speaks && 'speaking' }, avatar(user, store, 'tiny')),
        el('span', { class: 'caller-name' }, authorName(user)),
        state.self_deaf && el('span', { class: 'caller-mark', role: 'img', 'aria-label': 'does not listen', title: 'Does not listen' }, icon('deaf')));
    }));
  }

  #threads(parent) {
    const threads = [...this.store.channels.values()]
      .filter((channel) => THREAD_TYPES.has(channel.type) && channel.parent_id === parent.id
        && (!channel.thread_metadata?.archived || channel.id === this.store.channelId))
      .sort((a, b) => compareIds(b.last_message_id ?? b.id, a.last_message_id ?? a.id))
      .slice(0, POSTS_SHOWN);
    if (!threads.length) return null;
    return el('ul', { class: 'threads' }, threads.map((thread) => el('li', {}, this.#entry(thread, null))));
  }

  #directMessages() {
    const { store } = this;
    const own = [...store.channels.values()]
      .filter((channel) => channel.type === ChannelType.DM && store.canSee(channel));
    if (!own.length) return null;
    return el('section', { class: 'group' }, el('h3', {}, 'Direct messages'),
      el('ul', {}, own.map((channel) => el('li', {}, this.#entry(channel, avatar(store.bot.user, store, 'tiny'))))));
  }

  #entry(channel, mark, { joins = false } = {}) {
    const { store } = this;
    const unread = store.unread.get(channel.id);
    const isCurrent = channel.id === store.channelId;
    const name = store.channelName(channel.id);
    return el(joins ? 'button' : 'a', {
      class: `entry${unread ? ' unread' : ''}`,
      ...(joins ? { type: 'button', 'data-join': true, title: `Join ${name}` } : { href: `#${channel.id}` }),
      'aria-current': isCurrent ? 'page' : null,
      'data-channel': channel.id,
    }, mark, el('span', { class: 'entry-name' }, name),
    unread && el('span', { class: `badge${unread.mentioned ? ' badge-mention' : ''}`, role: 'img', 'aria-label': `${unread.count} unread` },
      unread.mentioned ? String(Math.min(unread.count, 99)) : ''));
  }

  #switcher() {
    const { store } = this;
    return el('footer', { class: 'people', id: 'people' },
      el('fieldset', {},
        el('legend', {}, 'Speak as'),
        el('div', { class: 'persons' }, store.people.map((person) => el('label', { class: `person${person.id === store.personId ? ' chosen' : ''}` },
          el('input', { type: 'radio', name: 'person', value: person.id, checked: person.id === store.personId }),
          avatar(person, store, 'small'),
          el('span', { class: 'person-name' }, authorName(person)),
          this.#hasNews(person) && el('span', { class: 'badge', role: 'img', 'aria-label': 'has unread messages' }))))));
  }

  /** Another person's unread direct message shows at their name. */
  #hasNews(person) {
    return person.id !== this.store.personId && [...this.store.unread.keys()].some((channelId) => {
      const channel = this.store.channels.get(channelId);
      return channel?.type === ChannelType.DM && this.store.dmPersonId(channel) === person.id;
    });
  }
}
