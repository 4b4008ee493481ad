/**
 * The list of messages: drawing, live edits, scrolling and what a click in it does.
 *
 * The view stays at the bottom only while the person is at the bottom; else it stays where the
 * person reads, and a button tells what came meanwhile.
 */

import { el, icon, morph } from './dom.js';
import { plural } from './format.js';
import { relativeTime } from './markdown.js';
import { authorName, renderMessage } from './message.js';
import { channelMark, ChannelType, THREAD_TYPES } from './store.js';

const PAGE_SIZE = 50;
const JUMP_PAGES = 10;
const AT_BOTTOM_PX = 24;
const LOAD_OLDER_PX = 300;
const ANNOUNCE_AFTER_MS = 1500;
const RELATIVE_TIME_MS = 30000;
const QUICK_REACTIONS = ['👍', '❤️', '😂', '🎉', '🤔', '👀', '✅', '🚀'];

const EXAMPLES = [
  'What can you do?',
  'Write a Python function for the Fibonacci numbers',
  'Tell me a long story',
];

export class MessageList {
  #rows = new Map();
  #pressed = new Map();
  #failures = new Map();
  #pinned = true;
  #lastTop = 0;
  #unseen = 0;
  #newFromId = null;
  #loading = new Set();
  #toolbar = null;
  #announcements = new Map();

  /**
   * @param request (op, fields) → Promise, acting as the current person
   * @param actions `{reply(message), edit(message), thread(message), say(text), mention(user)}`
   */
  constructor({ store, names, request, actions }) {
    this.store = store;
    this.names = names;
    this.request = request;
    this.actions = actions;
    this.scroller = document.getElementById('scroller');
    this.list = document.getElementById('messages');
    this.start = document.getElementById('channel-start');
    this.jump = document.getElementById('jump');
    this.announcer = document.getElementById('announcer');
    this.#listen();
    store.on('history', ({ channelId }) => channelId === store.channelId && this.draw());
    store.on('message', (change) => this.#changed(change));
    store.on('channels', () => this.#drawStart());
  }

  // Loading and drawing

  /** Show the current channel, fetching its history when it is not known yet. */
  async open() {
    const channelId = this.store.channelId;
    this.#pinned = true;
    this.#newFromId = this.store.takeFirstUnread(channelId);
    this.draw();
    if (this.store.messages(channelId) === null) await this.#load(channelId);
  }

  async #load(channelId, before) {
    if (this.#loading.has(channelId)) return;
    this.#loading.add(channelId);
    try {
      const fields = { channel_id: channelId, limit: PAGE_SIZE };
      if (before) fields.before = before;
      const { messages } = await this.request('history', fields);
      const anchor = this.list.firstElementChild;
      const top = anchor?.getBoundingClientRect().top;
      this.store.addHistory(channelId, messages, { hasOlder: messages.length === PAGE_SIZE });
      if (before && anchor && this.store.channelId === channelId) {
        this.scroller.scrollTop += anchor.getBoundingClientRect().top - top;
      }
    } catch {
      // The connection was lost: everything is fetched again after it is back.
    } finally {
      this.#loading.delete(channelId);
    }
  }

  draw() {
    const messages = this.store.messages(this.store.channelId) ?? [];
    const rows = new Map();
    let previous = null;
    for (const message of messages) {
      const row = this.#rows.get(message.id) ?? this.#newRow(message);
      rows.set(message.id, row);
      this.#drawRow(row, message, previous);
      previous = message;
    }
    this.#rows = rows;
    this.list.replaceChildren(...rows.values());
    this.#drawStart();
    this.#toBottomIfPinned();
  }

  #newRow(message) {
    return el('li', { class: 'row', id: `m-${message.id}`, 'data-id': message.id, tabindex: '-1' },
      el('div', { class: 'row-content' }));
  }

  #drawRow(row, message, previous) {
    morph(row.firstElementChild, renderMessage(message, previous, {
      store: this.store,
      names: this.names,
      newFromId: this.#newFromId,
      pressed: this.#pressed.get(message.id),
      failure: this.#failures.get(message.id),
    }));
  }

  /** Draw one message again, and the one below it, whose grouping may depend on it. */
  #redraw(messageId, { next = false } = {}) {
    const messages = this.store.messages(this.store.channelId) ?? [];
    const at = messages.findIndex((message) => message.id === messageId);
    if (at < 0) return;
    for (const index of next ? [at, at + 1] : [at]) {
      const row = this.#rows.get(messages[index]?.id);
      if (row) this.#drawRow(row, messages[index], messages[index - 1] ?? null);
    }
  }

  #changed({ kind, message }) {
    if (!this.store.isVisible(message)) return;
    if (kind === 'delete') return this.#remove(message);
    if (kind === 'create') this.#add(message);
    else this.#redraw(message.id);
    this.#announceLater(message, kind);
    this.#toBottomIfPinned();
    return undefined;
  }

  #add(message) {
    const messages = this.store.messages(message.channel_id);
    if (!messages) return;
    const at = messages.findIndex((other) => other.id === message.id);
    const row = this.#rows.get(message.id) ?? this.#newRow(message);
    this.#rows.set(message.id, row);
    const below = messages[at + 1];
    this.list.insertBefore(row, below ? this.#rows.get(below.id) : null);
    this.#redraw(message.id, { next: true });
    this.#drawStart();
    const isOwn = message.author.id === this.store.personId;
    if (isOwn) this.#pinned = true;
    if (this.#pinned) {
      for (const dropped of this.store.trim(message.channel_id)) {
        this.#rows.get(dropped.id)?.remove();
        this.#rows.delete(dropped.id);
      }
    } else {
      this.#unseen += 1;
      this.#drawJump();
    }
  }

  #remove(message) {
    const row = this.#rows.get(message.id);
    if (!row) return;
    const nextId = row.nextElementSibling?.dataset.id;
    row.remove();
    this.#rows.delete(message.id);
    if (nextId) this.#redraw(nextId);
    this.#drawStart();
  }

  // The start of a channel: what it is, and for an empty one what to try

  #drawStart() {
    const { store } = this;
    const channel = store.channel;
    const messages = store.messages(store.channelId);
    if (!channel || messages === null || store.hasOlder(channel.id)) {
      this.start.replaceChildren();
      return;
    }
    const isDm = channel.type === ChannelType.DM;
    const botName = store.userName(store.bot.user.id);
    const answersAll = channel.answers_all || isDm;
    const text = isDm
      ? `Only you and ${botName} can read this conversation.`
      : channel.topic || (THREAD_TYPES.has(channel.type) ? 'The start of this thread.'
        : channel.type === ChannelType.VOICE ? this.#voiceChatText(botName) : 'The start of this channel.');
    const fresh = el('div', { class: 'channel-start', id: 'channel-start' },
      el('span', { class: 'start-mark', 'aria-hidden': 'true' }, icon(channelMark(channel))),
      el('h3', {}, isDm ? botName : THREAD_TYPES.has(channel.type) ? channel.name : `Welcome to ${store.placeName(channel)}`),
      el('p', {}, text),
      messages.length === 0 && !THREAD_TYPES.has(channel.type) && el('div', { class: 'examples' },
        el('p', { class: 'examples-title' }, answersAll
          ? 'Type a message below, or start with one of these:'
          : `Mention @${botName} to get an answer, for example:`),
        EXAMPLES.map((example) => el('button', { class: 'example', type: 'button', 'data-action': 'say', 'data-text': answersAll ? example : `@${botName} ${example}` },
          example, icon('send')))));
    morph(this.start, fresh);
  }

  #voiceChatText(botName) {
    const canCall = this.store.commands.some(({ name }) => name === 'join');
    return `The text chat of this voice channel.${canCall ? ` With /join ${botName} comes into the call.` : ''}`;
  }

  // Scrolling

  #listen() {
    const { scroller } = this;
    scroller.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    const keep = new ResizeObserver(() => this.#toBottomIfPinned());
    keep.observe(scroller);
    keep.observe(document.getElementById('scroll-content'));
    this.jump.addEventListener('click', () => this.toBottom());
    scroller.addEventListener('click', (event) => this.#clicked(event));
    scroller.addEventListener('keydown', (event) => this.#key(event));
    scroller.addEventListener('pointerover', (event) => this.#showToolbar(event.target.closest('.row')));
    scroller.addEventListener('focusin', (event) => this.#showToolbar(event.target.closest('.row')));
    scroller.addEventListener('pointerleave', () => {
      if (!this.#toolbar?.contains(document.activeElement)) this.#hideToolbar();
    });
    setInterval(() => {
      for (const node of this.list.querySelectorAll('time[data-relative]')) {
        node.textContent = relativeTime(new Date(node.dateTime));
      }
    }, RELATIVE_TIME_MS);
  }

  /** Only a movement upwards leaves the bottom: content that grows below does not. */
  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    if (scrollHeight - scrollTop - clientHeight < AT_BOTTOM_PX) this.#pinned = true;
    else if (scrollTop < this.#lastTop - 1) this.#pinned = false;
    this.#lastTop = scrollTop;
    if (this.#pinned) this.#unseen = 0;
    this.#drawJump();
    const oldest = this.store.messages(this.store.channelId)?.[0];
    if (scrollTop < LOAD_OLDER_PX && oldest && this.store.hasOlder(this.store.channelId)) {
      this.#load(this.store.channelId, oldest.id);
    }
  }

  #toBottomIfPinned() {
    this.scroller.classList.toggle('pinned', this.#pinned);
    if (this.#pinned) this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  toBottom() {
    this.#pinned = true;
    this.#unseen = 0;
    this.#toBottomIfPinned();
    this.#drawJump();
  }

  #drawJump() {
    this.scroller.classList.toggle('pinned', this.#pinned);
    this.jump.hidden = this.#pinned;
    const label = this.#unseen ? plural(this.#unseen, 'new message') : 'To the latest messages';
    this.jump.classList.toggle('has-new', this.#unseen > 0);
    if (this.jump.dataset.label !== label) {
      this.jump.dataset.label = label;
      this.jump.replaceChildren(label, icon('down'));
    }
  }

  /** Bring a message into view, fetching older pages where it is not among those shown. */
  async #goTo(messageId) {
    const channelId = this.store.channelId;
    for (let page = 0; page < JUMP_PAGES && !this.#rows.has(messageId); page += 1) {
      if (!this.store.hasOlder(channelId)) break;
      await this.#load(channelId, this.store.messages(channelId)[0].id);
    }
    const row = this.#rows.get(messageId);
    if (!row || this.store.channelId !== channelId) return;
    this.#pinned = false;
    row.scrollIntoView({ block: 'center' });
    row.classList.remove('flash');
    requestAnimationFrame(() => row.classList.add('flash'));
  }

  // Clicks and keys

  #messageOf(node) {
    const id = node.closest('.row')?.dataset.id;
    return id && this.store.message(this.store.channelId, id);
  }

  #clicked(event) {
    const target = event.target.closest('[data-action]');
    if (!target) return;
    const message = this.#messageOf(target);
    if (['reply', 'edit', 'thread', 'delete'].includes(target.dataset.action)) this.#hideToolbar();
    switch (target.dataset.action) {
      case 'jump': return this.#goTo(target.dataset.target);
      case 'reveal': return target.setAttribute('data-revealed', '');
      case 'copy-code': return this.#copyCode(target);
      case 'zoom': return this.#zoom(target.dataset);
      case 'press': return this.#press(message, target.dataset.customId);
      case 'react': return this.#react(message, target.dataset.emoji);
      case 'say': return this.actions.say(target.dataset.text);
      case 'reply': return this.actions.reply(message);
      case 'edit': return this.actions.edit(message);
      case 'thread': return this.actions.thread(message);
      case 'dismiss':
      case 'delete': return this.#delete(message);
      case 'pick': return this.#togglePicker(target);
      default: return undefined;
    }
  }

  #key(event) {
    const target = event.target;
    if ((event.key === 'Enter' || event.key === ' ') && target.matches('.md-spoiler')) {
      event.preventDefault();
      target.setAttribute('data-revealed', '');
      return;
    }
    if (event.key !== 'ArrowUp' && event.key !== 'ArrowDown') return;
    const row = target.closest('.row');
    if (target !== this.scroller && target !== row) return;
    const next = row
      ? (event.key === 'ArrowUp' ? row.previousElementSibling : row.nextElementSibling)
      : event.key === 'ArrowUp' && this.list.lastElementChild;
    if (!next) return;
    event.preventDefault();
    next.focus();
  }

  async #copyCode(button) {
    const code = button.closest('.md-code').querySelector('code').textContent;
    const label = button.querySelector('span');
    try {
      await navigator.clipboard.writeText(code);
      label.textContent = 'Copied';
    } catch {
      label.textContent = 'Not allowed';
    }
    setTimeout(() => { label.textContent = 'Copy'; }, 2000);
  }

  #zoom({ source, name }) {
    const box = document.getElementById('lightbox');
    box.replaceChildren(
      el('img', { src: source, alt: name }),
      el('p', {}, el('a', { href: source, target: '_blank', rel: 'noopener' }, name)));
    box.showModal();
  }

  /** Press a button of the bot's message: it waits visibly, and a failure is told below it. */
  async #press(message, customId) {
    const pressed = this.#pressed.get(message.id) ?? new Map();
    pressed.set(customId, true);
    this.#pressed.set(message.id, pressed);
    this.#failures.delete(message.id);
    this.#redraw(message.id);
    try {
      await this.request('click', { channel_id: message.channel_id, message_id: message.id, custom_id: customId });
    } catch (error) {
      this.#failures.set(message.id, error.message);
    }
    pressed.delete(customId);
    this.#redraw(message.id);
  }

  #try(message, promise) {
    promise.catch((error) => {
      this.#failures.set(message.id, error.message);
      this.#redraw(message.id);
    });
  }

  #react(message, emoji) {
    const reaction = message.reactions?.find((other) => other.emoji.name === emoji);
    const remove = Boolean(reaction?.user_ids.includes(this.store.personId));
    this.#try(message, this.request('react', { channel_id: message.channel_id, message_id: message.id, emoji, remove }));
    this.#hideToolbar();
  }

  #delete(message) {
    this.#try(message, this.request('delete', { channel_id: message.channel_id, message_id: message.id }));
  }

  // The actions of the message under the pointer or the focus

  #showToolbar(row) {
    if (!row) return;
    if (this.#toolbar?.parentElement === row) return;
    this.#hideToolbar();
    const message = this.#messageOf(row);
    if (!message || message.ephemeral_for || message.type === 18) return;
    const isOwn = message.author.id === this.store.personId;
    const canThread = this.store.channel.type === ChannelType.TEXT && !this.store.channels.has(message.id);
    const tool = (action, name, label) => el('button', { class: 'icon-button', type: 'button', 'data-action': action, 'aria-label': label, title: label }, icon(name));
    this.#toolbar = el('div', { class: 'toolbar', role: 'group', 'aria-label': 'Message actions' },
      tool('pick', 'smile', 'React'),
      tool('reply', 'reply', 'Reply'),
      canThread && tool('thread', 'thread', 'Start a thread'),
      isOwn && tool('edit', 'edit', 'Edit'),
      isOwn && tool('delete', 'trash', 'Delete'));
    row.append(this.#toolbar);
  }

  #hideToolbar() {
    this.#toolbar?.remove();
    this.#toolbar = null;
  }

  #togglePicker(button) {
    const open = this.#toolbar.querySelector('.picker');
    if (open) {
      open.remove();
      return;
    }
    const picker = el('div', { class: 'picker' }, QUICK_REACTIONS.map((emoji) =>
      el('button', { type: 'button', 'data-action': 'react', 'data-emoji': emoji, 'aria-label': `React with ${emoji}` }, emoji)));
    button.after(picker);
    picker.firstElementChild.focus();
  }

  // Screen readers hear a message once, when it has stopped changing

  #announceLater(message, kind) {
    if (message.author.id === this.store.personId) return;
    if (kind === 'update' && !this.#announcements.has(message.id)) return;
    clearTimeout(this.#announcements.get(message.id));
    this.#announcements.set(message.id, setTimeout(() => {
      this.#announcements.delete(message.id);
      const text = this.#rows.get(message.id)?.querySelector('.content')?.textContent ?? '';
      this.announcer.append(el('p', {}, `${authorName(message.author)}: ${text}`));
      while (this.announcer.childElementCount > 5) this.announcer.firstElementChild.remove();
    }, ANNOUNCE_AFTER_MS));
  }
}
