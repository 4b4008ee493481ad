/**
 * Discord's Markdown as DOM nodes.
 *
 * Messages are untrusted: every piece of text becomes a text node, and only http and https
 * addresses become links. Blocks are read line by line (quotes, headings, lists, small text,
 * fenced code); text between them is read for inline marks and keeps its line breaks.
 */

import { el, icon } from './dom.js';
import { highlight } from './highlight.js';

const MAX_DEPTH = 8;

const FENCE = /```(?:([\w+#.-]+)\n)?\n*([\s\S]+?)\n*```/y;
const HEADING = /^(#{1,3})\s+(\S.*)$/;
const SMALL = /^-#\s+(\S.*)$/;
const ITEM = /^( *)([-*]|\d{1,9}\.)(\s+)(\S.*)$/;
const QUOTE_REST = '>>> ';
const QUOTE = '> ';

/**
 * A message's text as a fragment.
 *
 * @param names resolves ids: `{user(id), channel(id)}`, each a string
 */
export function renderMarkdown(text, names) {
  const fragment = document.createDocumentFragment();
  appendBlocks(fragment, text, { names, depth: 0, quoted: false });
  return fragment;
}

/** Text in one line with inline marks only, for reply previews and topics. */
export function renderInline(text, names) {
  const fragment = document.createDocumentFragment();
  appendInline(fragment, text, { names, depth: 0, quoted: false });
  return fragment;
}

/** A message that is only a few emoji is shown larger. */
export function isEmojiOnly(text) {
  return /^(?:(?:\p{Extended_Pictographic}|\p{Regional_Indicator}{2})[\uFE0F\u200D\p{Emoji_Modifier}]*\s*){1,8}$/u
    .test(text);
}

// Blocks

function appendBlocks(parent, source, context) {
  let pending = '';
  let at = 0;
  const flush = () => {
    const text = pending.replace(/^\n+|\s+$/g, '');
    pending = '';
    if (!text) return;
    const block = el('div', { class: 'md-text' });
    appendInline(block, text, context);
    parent.append(block);
  };
  while (at < source.length) {
    const line = lineAt(source, at);
    const next = at + line.length + 1;
    const block = context.depth < MAX_DEPTH ? readBlock(source, at, line, context) : null;
    if (block) {
      flush();
      parent.append(block.node);
      at = block.end;
      continue;
    }
    const fence = readFence(source, at, line);
    if (fence) {
      pending += source.slice(at, fence.start);
      flush();
      parent.append(codeBlock(fence.code, fence.language));
      at = fence.end + (source[fence.end] === '\n' ? 1 : 0);
      continue;
    }
    pending += `${line}\n`;
    at = next;
  }
  flush();
}

function lineAt(source, at) {
  const end = source.indexOf('\n', at);
  return end < 0 ? source.slice(at) : source.slice(at, end);
}

function readFence(source, at, line) {
  for (let start = line.indexOf('```'); start >= 0; start = line.indexOf('```', start + 3)) {
    if (line[start - 1] === '\\') continue;
    FENCE.lastIndex = at + start;
    const match = FENCE.exec(source);
    if (match) {
      return { start: at + start, end: FENCE.lastIndex, language: match[1] ?? '', code: match[2] };
    }
  }
  return null;
}

function readBlock(source, at, line, context) {
  const inner = { ...context, depth: context.depth + 1 };
  if (!context.quoted && line.startsWith(QUOTE_REST)) {
    return { node: quote(source.slice(at + QUOTE_REST.length), inner), end: source.length };
  }
  if (!context.quoted && line.startsWith(QUOTE)) {
    const lines = [];
    let end = at;
    for (let text = line; text.startsWith(QUOTE) || text === '>'; text = lineAt(source, end)) {
      lines.push(text.slice(QUOTE.length));
      end += text.length + 1;
      if (end >= source.length) break;
    }
    return { node: quote(lines.join('\n'), inner), end };
  }
  const heading = HEADING.exec(line);
  if (heading) {
    const level = heading[1].length;
    const node = el('div', { class: `md-heading md-h${level}`, role: 'heading', 'aria-level': level + 2 });
    appendInline(node, heading[2], inner);
    return { node, end: at + line.length + 1 };
  }
  const small = SMALL.exec(line);
  if (small) {
    const node = el('div', { class: 'md-small' });
    appendInline(node, small[1], inner);
    return { node, end: at + line.length + 1 };
  }
  return ITEM.test(line) ? readList(source, at, inner) : null;
}

function quote(text, context) {
  const node = el('blockquote', { class: 'md-quote' });
  appendBlocks(node, text, { ...context, quoted: true });
  return node;
}

/** Items of one level; what is indented under an item belongs to it, nested lists included. */
function readList(source, at, context) {
  const first = ITEM.exec(lineAt(source, at));
  const baseIndent = first[1].length;
  const ordered = isNumber(first[2]);
  const start = ordered ? parseInt(first[2], 10) : null;
  const list = el(ordered ? 'ol' : 'ul', { class: 'md-list', start });
  let body = null;
  let width = 0;
  let end = at;
  const close = () => {
    if (body === null) return;
    const item = el('li');
    appendBlocks(item, body, context);
    list.append(item);
  };
  while (end < source.length) {
    const line = lineAt(source, end);
    const item = ITEM.exec(line);
    const indent = indentOf(line);
    if (!line.trim()) {
      const after = lineAt(source, end + line.length + 1);
      const sibling = ITEM.exec(after);
      const goesOn = indentOf(after) >= baseIndent + 2
        || (sibling?.[1].length === baseIndent && isNumber(sibling[2]) === ordered);
      if (!after.trim() || !goesOn) break;
      body += '\n';
    } else if (indent >= baseIndent + 2) {
      width ||= Math.min(indent, baseIndent + first[2].length + first[3].length);
      body += `\n${line.slice(Math.min(indent, width))}`;
    } else if (item && indent >= baseIndent && isNumber(item[2]) === ordered) {
      close();
      body = item[4];
      width = 0;
    } else {
      break;
    }
    end += line.length + 1;
    if (hasOpenFence(body)) {
      const closing = source.indexOf('```', end);
      if (closing < 0) continue;
      const stop = closing + lineAt(source, closing).length;
      for (const inside of source.slice(end, stop).split('\n')) {
        body += `\n${inside.slice(Math.min(indentOf(inside), width || baseIndent + 3))}`;
      }
      end = stop + 1;
    }
  }
  close();
  return { node: list, end };
}

function isNumber(marker) {
  return marker.length > 1;
}

function indentOf(line) {
  return line.length - line.trimStart().length;
}

function hasOpenFence(text) {
  return (text.match(/```/g)?.length ?? 0) % 2 === 1;
}

function codeBlock(code, language) {
  const body = el('code');
  highlight(body, code, language);
  return el('div', { class: 'md-code' },
    el('div', { class: 'md-code-bar' },
      el('span', { class: 'md-code-language' }, language || 'text'),
      el('button', { class: 'md-copy', type: 'button', 'data-action': 'copy-code' }, icon('copy'), el('span', {}, 'Copy'))),
    el('pre', { tabindex: '0' }, body));
}

// Inline marks

const SPECIAL = /[\\`*_~|[<@:]|https?:\/\//g;
const ESCAPE = /\\([!-/:-@[-`{-~])/y;
const CODE = /(`+)([\s\S]*?[^`])\1(?!`)/y;
const STRONG = /\*\*((?:\\[\s\S]|[^\\])+?)\*\*(?!\*)/y;
const UNDERLINE = /__((?:\\[\s\S]|[^\\])+?)__(?!_)/y;
const EMPHASIS = /\*(?=\S)((?:\*\*|\\[\s\S]|[^*\\])+?)\*(?!\*)/y;
const EMPHASIS_LOW = /_((?:__|\\[\s\S]|[^_\\])+?)_(?![A-Za-z0-9_])/y;
const STRIKE = /~~((?:\\[\s\S]|[^\\])+?)~~/y;
const SPOILER = /\|\|([\s\S]+?)\|\|/y;
const MASKED = /\[((?:\\[\s\S]|[^[\]\\\n]){1,400})\]\(\s*<?(https?:\/\/[^\s<>()]+(?:\([^\s<>()]*\)[^\s<>()]*)*)>?(?:\s+"[^"\n]*")?\s*\)/y;
const MENTION = /<(?:@!?(\d+)|@&(\d+)|#(\d+)|t:(-?\d{1,13})(?::([tTdDfFR]))?|a?:(\w+):\d+|\/([\w -]+):\d+|(https?:\/\/[^\s<>]+))>/y;
const EVERYONE = /@(?:everyone|here)\b/y;
const URL_BARE = /https?:\/\/[^\s<]+[^\s<.,:;"'\]*_~|!?]/y;

function appendInline(parent, text, context) {
  const inner = { ...context, depth: context.depth + 1 };
  let plain = 0;
  let at = 0;
  const deep = context.depth >= MAX_DEPTH * 2;
  while (!deep) {
    SPECIAL.lastIndex = at;
    const special = SPECIAL.exec(text);
    if (!special) break;
    const start = special.index;
    const found = readInline(text, start, inner);
    if (!found) {
      at = start + 1;
      continue;
    }
    if (start > plain) parent.append(text.slice(plain, start));
    parent.append(found.node);
    plain = found.end;
    at = found.end;
  }
  if (plain < text.length) parent.append(text.slice(plain));
  // Two text nodes in a row come from an escape; one is enough.
  parent.normalize();
}

function match(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function marked(tag, className, found, context) {
  const node = el(tag, className ? { class: className } : {});
  appendInline(node, found[1], context);
  return { node, end: found.index + found[0].length };
}

function readInline(text, at, context) {
  let found;
  switch (text[at]) {
    case '\\':
      found = match(ESCAPE, text, at);
      return found && { node: found[1], end: at + 2 };
    case '`':
      found = match(CODE, text, at);
      if (!found) return runOf('`', text, at);
      return { node: el('code', { class: 'md-inline-code' }, found[2].trim() || found[2]), end: at + found[0].length };
    case '*':
      found = match(STRONG, text, at);
      if (found) return marked('strong', null, found, context);
      found = match(EMPHASIS, text, at);
      if (found && !/\s$/.test(found[1])) return marked('em', null, found, context);
      return null;
    case '_':
      found = match(UNDERLINE, text, at);
      if (found) return marked('u', null, found, context);
      if (/[A-Za-z0-9]/.test(text[at - 1] ?? '')) return null;
      found = match(EMPHASIS_LOW, text, at);
      return found && marked('em', null, found, context);
    case '~':
      found = match(STRIKE, text, at);
      return found && marked('s', null, found, context);
    case '|':
      found = match(SPOILER, text, at);
      return found && spoiler(found, context);
    case '[':
      found = match(MASKED, text, at);
      return found && { node: link(found[2], renderLabel(found[1], context)), end: at + found[0].length };
    case '<':
      found = match(MENTION, text, at);
      return found && { node: mention(found, context.names), end: at + found[0].length };
    case '@':
      found = match(EVERYONE, text, at);
      return found && { node: el('span', { class: 'mention' }, found[0]), end: at + found[0].length };
    case 'h':
      found = match(URL_BARE, text, at);
      return found && bareLink(found[0], at);
    default:
      return null;
  }
}

/** A run of backticks without its partner is plain text as a whole. */
function runOf(character, text, at) {
  let end = at;
  while (text[end] === character) end += 1;
  return { node: text.slice(at, end), end };
}

function spoiler(found, context) {
  const result = marked('span', 'md-spoiler', found, context);
  result.node.setAttribute('data-action', 'reveal');
  result.node.setAttribute('role', 'button');
  result.node.setAttribute('tabindex', '0');
  result.node.setAttribute('aria-label', 'Spoiler, press to show');
  return result;
}

function renderLabel(text, context) {
  const fragment = document.createDocumentFragment();
  appendInline(fragment, text, context);
  return fragment;
}

function link(address, label) {
  return el('a', { href: address, target: '_blank', rel: 'noopener noreferrer nofollow', title: address }, label);
}

function bareLink(found, at) {
  let address = found;
  while (address.endsWith(')') && count(address, ')') > count(address, '(')) address = address.slice(0, -1);
  return { node: link(address, address), end: at + address.length };
}

function count(text, character) {
  return text.split(character).length - 1;
}

function mention(found, names) {
  const [whole, user, role, channel, seconds, style, emoji, command, address] = found;
  if (user) return el('span', { class: 'mention', 'data-user': user }, `@${names.user(user)}`);
  if (role) return el('span', { class: 'mention' }, '@role');
  if (channel) return el('a', { class: 'mention', href: `#${channel}` }, `#${names.channel(channel)}`);
  if (emoji) return el('span', { class: 'md-emoji', title: `:${emoji}:` }, `:${emoji}:`);
  if (command) return el('span', { class: 'mention' }, `/${command}`);
  if (address) return link(address, address);
  return timestamp(Number(seconds), style ?? 'f') ?? whole;
}

const STYLES = {
  t: { timeStyle: 'short' },
  T: { timeStyle: 'medium' },
  d: { dateStyle: 'short' },
  D: { dateStyle: 'long' },
  f: { dateStyle: 'long', timeStyle: 'short' },
  F: { dateStyle: 'full', timeStyle: 'short' },
};

function timestamp(seconds, style) {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return null;
  const full = new Intl.DateTimeFormat(undefined, STYLES.F).format(date);
  const node = el('time', { class: 'md-time', datetime: date.toISOString(), title: full });
  if (style === 'R') {
    node.setAttribute('data-relative', '');
    node.append(relativeTime(date));
  } else {
    node.append(new Intl.DateTimeFormat(undefined, STYLES[style]).format(date));
  }
  return node;
}

const STEPS = [['year', 31536000], ['month', 2592000], ['day', 86400], ['hour', 3600], ['minute', 60], ['second', 1]];

/** "in 3 hours", "2 days ago". */
export function relativeTime(date) {
  const seconds = (date.getTime() - Date.now()) / 1000;
  const [unit, size] = STEPS.find(([, step]) => Math.abs(seconds) >= step) ?? STEPS.at(-1);
  return new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' }).format(Math.trunc(seconds / size), unit);
}
