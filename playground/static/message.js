/**
 * One message as DOM nodes, drawn from its data alone.
 *
 * Nothing here listens: clickable parts carry `data-action`, which the message list handles,
 * so that a redrawn message can be morphed into the one on screen.
 */

import { avatar } from './avatar.js';
import { el, icon } from './dom.js';
import { clockTime, fileSize, fullTime, isSameDay, dayName, messageTime, plural } from './format.js';
import { isEmojiOnly, renderInline, renderMarkdown } from './markdown.js';
import { MessageFlag } from './store.js';

const GROUP_SPAN_MS = 7 * 60 * 1000;
const TYPE_THREAD_CREATED = 18;
const TYPE_REPLY = 19;
const TYPE_THREAD_STARTER = 21;
const REPLY_PREVIEW_CHARS = 160;
const BUTTON_STYLES = { 1: 'primary', 2: 'secondary', 3: 'success', 4: 'danger', 5: 'link' };

/** Whether `message` continues the group that `previous` belongs to. */
function continues(previous, message) {
  return Boolean(previous)
    && previous.author.id === message.author.id
    && previous.ephemeral_for === message.ephemeral_for
    && !message.referenced_message && message.type !== TYPE_REPLY
    && !message.interaction_metadata
    && message.type !== TYPE_THREAD_CREATED && previous.type !== TYPE_THREAD_CREATED
    && new Date(message.timestamp) - new Date(previous.timestamp) < GROUP_SPAN_MS
    && isSameDay(new Date(message.timestamp), new Date(previous.timestamp));
}

/**
 * The inner part of a message's row.
 *
 * @param posted the message; the first of a thread shows the one that it was started from
 * @param previous the message above it, or null
 * @param context `{store, names, newFromId, pressed: Map(custom_id → true), failure: string}`
 */
export function renderMessage(posted, previous, context) {
  const { store } = context;
  const message = posted.type === TYPE_THREAD_STARTER && posted.referenced_message
    ? { ...posted.referenced_message, id: posted.id } : posted;
  const date = new Date(message.timestamp);
  const newDay = previous && !isSameDay(date, new Date(previous.timestamp));
  const isNew = context.newFromId === message.id;
  const continued = !isNew && continues(previous, message);
  const isMention = message.mention_everyone || message.content.includes(`<@${store.personId}>`);
  const classes = ['message',
    continued && 'continued',
    isMention && message.author.id !== store.personId && 'mentioned',
    message.ephemeral_for && 'ephemeral'].filter(Boolean).join(' ');
  return el('div', { class: 'row-content' },
    (newDay || isNew) && divider(newDay ? dayName(date) : null, isNew),
    message.type === TYPE_THREAD_CREATED
      ? systemLine(message, date, store)
      : el('article', { class: classes },
        !continued && contextLine(message, context),
        el('div', { class: 'gutter' },
          continued
            ? el('time', { class: 'hover-time', datetime: message.timestamp, title: fullTime(date) }, clockTime(date))
            : avatar(message.author, store)),
        el('div', { class: 'body' },
          !continued && byline(message, date),
          content(message, context),
          attachments(message),
          embeds(message, context),
          components(message, context),
          context.failure && el('p', { class: 'failure', role: 'alert' }, context.failure),
          reactions(message, store),
          threadChip(message, store),
          message.ephemeral_for && ephemeralNote())));
}

function divider(label, isNew) {
  return el('div', { class: `divider${isNew ? ' divider-new' : ''}`, role: 'separator' },
    el('span', {}, label, isNew && el('b', {}, 'New')));
}

function systemLine(message, date, store) {
  const threadId = message.message_reference?.channel_id ?? message.thread?.id;
  return el('div', { class: 'system-line' },
    icon('thread'),
    el('p', {}, el('strong', {}, authorName(message.author)), ' started a thread: ',
      store.channels.has(threadId)
        ? el('a', { href: `#${threadId}` }, message.content)
        : el('strong', {}, message.content),
      ' ', el('time', { datetime: message.timestamp, title: fullTime(date) }, messageTime(date))));
}

/** The line above a message: what it replies to, or which command it answers. */
function contextLine(message, { store, names }) {
  const interaction = message.interaction_metadata;
  if (interaction) {
    const user = interaction.user;
    return el('div', { class: 'context-line' },
      avatar(user, store, 'tiny'),
      el('strong', {}, authorName(user)),
      interaction.name ? [' used ', el('code', {}, `/${interaction.name}`)] : ' pressed a button');
  }
  if (message.type !== TYPE_REPLY) return null;
  const original = message.referenced_message;
  if (!original) return el('div', { class: 'context-line' }, el('em', {}, 'The original message was deleted.'));
  const known = store.message(message.channel_id, original.id) ?? original;
  const text = known.content.replace(/```[\w+#.-]*\n?|^[>#-]+ /gm, '').replace(/\s+/g, ' ').slice(0, REPLY_PREVIEW_CHARS);
  const preview = text ? renderInline(text, names) : el('em', {}, 'Click to see the attachment');
  for (const inner of preview.querySelectorAll?.('a, [tabindex]') ?? []) {
    inner.replaceWith(el('span', {}, ...inner.childNodes));
  }
  return el('button', { class: 'context-line context-jump', type: 'button', 'data-action': 'jump', 'data-target': original.id },
    avatar(original.author, store, 'tiny'),
    el('strong', {}, authorName(original.author)),
    el('span', { class: 'context-text' }, preview));
}

export function authorName(user) {
  return user.global_name ?? user.username;
}

function byline(message, date) {
  return el('header', { class: 'byline' },
    el('span', { class: 'author', 'data-user': message.author.id }, authorName(message.author)),
    (message.author.bot || message.webhook_id) && el('span', { class: 'tag' }, 'BOT'),
    el('time', { datetime: message.timestamp, title: fullTime(date) }, messageTime(date)));
}

function content(message, { names }) {
  if (message.flags & MessageFlag.LOADING) {
    return el('p', { class: 'thinking' }, dots(), `${authorName(message.author)} is thinking…`);
  }
  if (!message.content) return null;
  const node = el('div', { class: `content${isEmojiOnly(message.content) ? ' big-emoji' : ''}` },
    renderMarkdown(message.content, names));
  if (message.edited_timestamp) {
    const mark = el('span', { class: 'edited', title: fullTime(new Date(message.edited_timestamp)) }, '(edited)');
    const last = node.lastElementChild;
    if (last?.matches('.md-text, .md-small')) last.append(' ', mark);
    else node.append(mark);
  }
  return node;
}

export function dots() {
  return el('span', { class: 'dots', 'aria-hidden': 'true' }, el('i'), el('i'), el('i'));
}

// Attachments and embeds

/** The path of a file of this playground; null for a foreign address, which is never loaded. */
function ownPath(address) {
  try {
    const url = new URL(address, location.href);
    const isOwn = url.pathname.startsWith('/attachments/') && url.port === location.port;
    return isOwn ? url.pathname + url.search : null;
  } catch {
    return null;
  }
}

function attachments(message) {
  if (!message.attachments?.length) return null;
  return el('div', { class: 'attachments' }, message.attachments.map((file) => {
    const path = ownPath(file.url);
    if (path && file.content_type?.startsWith('image/')) return image(path, file);
    return fileCard(path, file);
  }));
}

function image(path, file) {
  return el('button', { class: 'image', type: 'button', 'data-action': 'zoom', 'data-source': path, 'data-name': file.filename, 'aria-label': `Enlarge ${file.filename}` },
    el('img', { src: path, alt: file.description ?? file.filename, width: file.width, height: file.height, draggable: 'false' }));
}

function fileCard(path, file) {
  return el('div', { class: 'file-card' },
    icon('file'),
    el('div', {},
      path
        ? el('a', { href: path, target: '_blank', rel: 'noopener', download: file.filename }, file.filename)
        : el('span', {}, file.filename),
      el('small', {}, fileSize(file.size))));
}

function embeds(message, { names }) {
  if (!message.embeds?.length || message.flags & MessageFlag.SUPPRESS_EMBEDS) return null;
  return el('div', { class: 'embeds' }, message.embeds.map((embed) => {
    const title = embed.title && renderInline(embed.title, names);
    const isLink = /^https?:\/\//.test(embed.url ?? '');
    const picture = embed.image && ownPath(embed.image.url);
    const node = el('div', { class: 'embed' },
      embed.author?.name && el('p', { class: 'embed-author' }, embed.author.name),
      title && el('p', { class: 'embed-title' }, isLink
        ? el('a', { href: embed.url, target: '_blank', rel: 'noopener noreferrer nofollow' }, title) : title),
      embed.description && el('div', { class: 'embed-text' }, renderMarkdown(embed.description, names)),
      embed.fields?.length && el('dl', { class: 'embed-fields' }, embed.fields.map((field) =>
        el('div', { class: field.inline ? 'inline' : null },
          el('dt', {}, renderInline(field.name, names)),
          el('dd', {}, renderMarkdown(field.value, names))))),
      picture && el('img', { class: 'embed-image', src: picture, alt: '' }),
      (embed.footer?.text || embed.timestamp) && el('p', { class: 'embed-footer' },
        [embed.footer?.text, embed.timestamp && messageTime(new Date(embed.timestamp))].filter(Boolean).join(' · ')));
    if (embed.color) node.style.borderInlineStartColor = `#${embed.color.toString(16).padStart(6, '0')}`;
    return node;
  }));
}

// Buttons, reactions, thread

function components(message, context) {
  const rows = (message.components ?? []).map((row) =>
    (row.components ?? []).filter((part) => part.type === 2)).filter((buttons) => buttons.length);
  return rows.map((buttons) => el('div', { class: 'buttons' }, buttons.map((part) => button(part, context))));
}

function button(part, { pressed }) {
  const label = [
    part.emoji && el('span', { class: 'button-emoji' }, part.emoji.id ? `:${part.emoji.name}:` : part.emoji.name),
    part.label && el('span', {}, part.label)];
  if (part.style === 5) {
    const isWeb = /^https?:\/\//.test(part.url ?? '');
    return el('a', { class: 'button button-link', href: isWeb ? part.url : null, target: '_blank', rel: 'noopener noreferrer nofollow' }, label, icon('link'));
  }
  const isPending = pressed?.has(part.custom_id);
  return el('button', {
    class: `button button-${BUTTON_STYLES[part.style] ?? 'secondary'}${isPending ? ' pending' : ''}`,
    type: 'button',
    disabled: part.disabled || isPending,
    'aria-busy': isPending ? 'true' : null,
    'data-action': 'press',
    'data-custom-id': part.custom_id,
  }, label);
}

function reactions(message, store) {
  if (!message.reactions?.length) return null;
  return el('div', { class: 'reactions' }, message.reactions.map((reaction) => {
    const name = reaction.emoji.name;
    const isOwn = reaction.user_ids.includes(store.personId);
    return el('button', {
      class: `reaction${isOwn ? ' own' : ''}`, type: 'button', 'data-action': 'react', 'data-emoji': name,
      'aria-pressed': String(isOwn), 'aria-label': `${name}, ${plural(reaction.count, 'reaction')}`,
    }, el('span', {}, name), el('b', {}, String(reaction.count)));
  }));
}

function threadChip(message, store) {
  const thread = store.channels.get(message.id) ?? message.thread;
  if (!thread || thread.id === message.channel_id) return null;
  return el('a', { class: 'thread-chip', href: `#${thread.id}` },
    icon('thread'), el('strong', {}, thread.name),
    thread.message_count ? el('span', {}, plural(thread.message_count, 'message')) : el('span', {}, 'Open thread'));
}

function ephemeralNote() {
  return el('p', { class: 'ephemeral-note' }, icon('eye'), 'Only you can see this · ',
    el('button', { class: 'link-button', type: 'button', 'data-action': 'dismiss' }, 'Dismiss'));
}
