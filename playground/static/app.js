/** The page: joins the store, the connection and the views. */

import { Composer } from './composer.js';
import { Connection } from './connection.js';
import { askForThread, closeOnBackdrop } from './dialogs.js';
import { el, icon } from './dom.js';
import { listNames } from './format.js';
import { Forum } from './forum.js';
import { renderInline } from './markdown.js';
import { dots } from './message.js';
import { MessageList } from './messages.js';
import { Sidebar } from './sidebar.js';
import { channelMark, ChannelType, Store, THREAD_TYPES } from './store.js';
import { currentTheme, onSystemThemeChange, toggleTheme } from './theme.js';
import { Voice } from './voice.js';

const byId = (id) => document.getElementById(id);
const store = new Store();
const names = {
  user: (id) => store.userName(id),
  channel: (id) => store.channelName(id),
};

const connection = new Connection({
  onEvent: (name, data) => store.receive(name, data),
  onSound: (frame) => voice.hear(frame),
  onState: drawConnection,
});

/** Every request acts as the person who speaks now. */
const request = (op, fields) => connection.request(op, { as: store.personId, ...fields });

const composer = new Composer({
  store,
  request,
  upload: (file) => connection.upload(file),
  onSent: () => messages.toBottom(),
});
const messages = new MessageList({
  store,
  names,
  request,
  actions: {
    reply: (message) => composer.reply(message),
    edit: (message) => composer.edit(message),
    thread: (message) => newThread(message),
    say: (text) => composer.say(text),
  },
});
const forum = new Forum({ store, newPost });
const voice = new Voice({ store, request, onChange: drawVoiceButton });
new Sidebar({ store, joinVoice: (channelId) => voice.join(channelId) });

// Where we are

function show() {
  const { channel } = store;
  const isForum = channel.type === ChannelType.FORUM;
  history.replaceState(null, '', `#${channel.id}`);
  document.title = `${store.placeName(channel)} · ${store.guild.name}`;
  byId('conversation').hidden = isForum;
  drawHeader();
  forum.draw();
  composer.open();
  drawTyping();
  if (!isForum) messages.open();
  store.markRead(channel.id);
  closeSidebar();
  if (matchMedia('(pointer: fine)').matches) composer.focus();
}

function drawHeader() {
  const { channel } = store;
  if (!channel) return;
  const isDm = channel.type === ChannelType.DM;
  const parent = THREAD_TYPES.has(channel.type) && store.channels.get(channel.parent_id);
  byId('channel-title').replaceChildren(icon(channelMark(channel)),
    parent ? el('a', { class: 'title-parent', href: `#${parent.id}` }, parent.name) : '',
    parent ? el('span', { class: 'title-step', 'aria-hidden': 'true' }, '›') : '',
    el('span', { class: 'title-name' }, store.channelName(channel.id)));
  byId('channel-topic').replaceChildren(renderInline(isDm ? 'Direct messages with the bot' : channel.topic ?? '', names));
  byId('thread-button').hidden = channel.type !== ChannelType.TEXT;
  drawVoiceButton();
}

/** The chat of a voice channel is open to those outside; here they come in. */
function drawVoiceButton() {
  const { channel } = store;
  const button = byId('voice-button');
  const isThere = voice.channelId === channel?.id;
  button.hidden = channel?.type !== ChannelType.VOICE;
  button.textContent = isThere ? 'Leave' : 'Join';
  button.setAttribute('aria-label', `${button.textContent} voice`);
  button.classList.toggle('button-primary', !isThere);
  button.classList.toggle('button-secondary', isThere);
}

function drawBot() {
  byId('offline-chip').hidden = store.bot.online;
  byId('offline-chip').textContent = `${store.userName(store.bot.user.id)} is offline`;
}

function drawTyping() {
  const who = store.channelId ? store.typingNames(store.channelId) : [];
  const line = byId('typing');
  if (!who.length) line.replaceChildren();
  else if (line.textContent !== typingText(who)) line.replaceChildren(dots(), el('span', {}, typingText(who)));
}

function typingText(who) {
  return `${listNames(who)} ${who.length === 1 ? 'is' : 'are'} typing…`;
}

function drawNotice() {
  const dismissed = sessionStorage.getItem('dismissed-notice');
  byId('notice-strip').hidden = !store.notice || store.notice === dismissed;
  byId('notice-text').replaceChildren(renderInline(store.notice ?? '', names));
}

let wasConnected = false;

function drawConnection(isConnected) {
  const strip = byId('lost-strip');
  if (!isConnected) voice.drop();
  strip.hidden = isConnected;
  strip.textContent = wasConnected ? 'Connection lost. Reconnecting…' : 'Connecting to the playground…';
  document.body.dataset.connected = String(isConnected);
  wasConnected ||= isConnected;
}

// Threads and posts

async function createThread(fields) {
  const { channel } = await request('create_thread', { channel_id: store.channelId, ...fields });
  store.receive('THREAD_CREATE', channel);
  store.select(channel.id);
}

function newThread(message = null) {
  const firstWords = message?.content.replace(/<[@#][^>]*>|[*_`~|>#]/g, '').trim().split(/\s+/).slice(0, 8).join(' ').slice(0, 100) ?? '';
  askForThread({
    title: message ? 'Start a thread from this message' : 'New thread',
    nameLabel: 'Name of the thread',
    textLabel: message ? null : 'First message',
    submitLabel: 'Start thread',
    name: firstWords,
    needsText: !message,
    onSubmit: ({ name, content }) => createThread(message ? { name, message_id: message.id } : { name, content }),
  });
}

function newPost() {
  askForThread({
    title: 'New post',
    nameLabel: 'Title',
    textLabel: 'What would you like to ask or tell?',
    submitLabel: 'Post',
    needsText: true,
    onSubmit: createThread,
  });
}

// The frame around it

function drawThemeButton() {
  const isDark = currentTheme() === 'dark';
  const label = isDark ? 'Switch to light' : 'Switch to dark';
  byId('theme-button').replaceChildren(icon(isDark ? 'sun' : 'moon'));
  byId('theme-button').setAttribute('aria-label', label);
  byId('theme-button').title = label;
}

function openSidebar() {
  byId('app').classList.add('sidebar-open');
  byId('menu-button').setAttribute('aria-expanded', 'true');
}

function closeSidebar() {
  byId('app').classList.remove('sidebar-open');
  byId('menu-button').setAttribute('aria-expanded', 'false');
}

function switchChannel(step) {
  const links = [...document.querySelectorAll('.entry')];
  const at = links.findIndex((link) => link.dataset.channel === store.channelId);
  const next = links[(at + step + links.length) % links.length];
  if (next) store.select(next.dataset.channel);
}

byId('menu-button').append(icon('menu'));
byId('thread-button').append(icon('thread'));
byId('notice-close').append(icon('close'));
byId('menu-button').addEventListener('click', openSidebar);
byId('scrim').addEventListener('click', closeSidebar);
byId('thread-button').addEventListener('click', () => newThread());
byId('voice-button').addEventListener('click', () => {
  if (voice.channelId === store.channelId) voice.leave();
  else voice.join(store.channelId);
});
byId('theme-button').addEventListener('click', () => {
  toggleTheme();
  drawThemeButton();
});
byId('notice-close').addEventListener('click', () => {
  sessionStorage.setItem('dismissed-notice', store.notice);
  drawNotice();
});
onSystemThemeChange(drawThemeButton);
drawThemeButton();
closeOnBackdrop(byId('dialog'));
closeOnBackdrop(byId('lightbox'));

addEventListener('hashchange', () => store.select(location.hash.slice(1)));
addEventListener('keydown', (event) => {
  if (event.altKey && (event.key === 'ArrowUp' || event.key === 'ArrowDown')) {
    event.preventDefault();
    switchChannel(event.key === 'ArrowUp' ? -1 : 1);
  } else if (event.key === 'Escape') {
    closeSidebar();
  }
});
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible' && store.channelId) store.markRead(store.channelId);
});

store.on('world', () => {
  drawNotice();
  drawBot();
  const wanted = location.hash.slice(1);
  if (store.canSee(store.channels.get(wanted))) store.select(wanted);
  else show();
});
store.on('selection', show);
store.on('bot', drawBot);
store.on('channels', drawHeader);
store.on('typing', drawTyping);

drawConnection(false);
connection.open();
