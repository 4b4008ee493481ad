/**
 * Building and updating DOM nodes.
 *
 * Text always becomes a text node: nothing in this page parses a string as HTML.
 */

/** An element with attributes, `on...` listeners and children; empty children are skipped. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
}

/** Attributes that a person's click set on a node and that an update must keep. */
const KEPT_ATTRIBUTES = new Set(['data-revealed']);

/**
 * Turn `from` into a copy of `to`, touching only what differs.
 *
 * Nodes that stay the same stay in place, and text is changed from its first to its last
 * differing character, so a selection, a loaded image or a focused button survives.
 */
export function morph(from, to) {
  for (const name of from.getAttributeNames()) {
    if (!to.hasAttribute(name) && !KEPT_ATTRIBUTES.has(name)) from.removeAttribute(name);
  }
  for (const name of to.getAttributeNames()) {
    const value = to.getAttribute(name);
    if (from.getAttribute(name) === value) continue;
    if (name === 'style') from.style.cssText = value; // the page's policy allows no such attribute
    else from.setAttribute(name, value);
  }
  if (from.localName === 'input') from.checked = to.checked;
  let old = from.firstChild;
  let fresh = to.firstChild;
  while (fresh) {
    const nextFresh = fresh.nextSibling;
    if (!old) {
      from.append(fresh);
    } else {
      const nextOld = old.nextSibling;
      if (old.nodeName !== fresh.nodeName) old.replaceWith(fresh);
      else if (old.nodeType === Node.TEXT_NODE) setText(old, fresh.data);
      else morph(old, fresh);
      old = nextOld;
    }
    fresh = nextFresh;
  }
  while (old) {
    const nextOld = old.nextSibling;
    old.remove();
    old = nextOld;
  }
}

function setText(node, text) {
  const before = node.data;
  if (before === text) return;
  const shorter = Math.min(before.length, text.length);
  let start = 0;
  while (start < shorter && before[start] === text[start]) start += 1;
  let end = 0;
  while (end < shorter - start && before.at(-1 - end) === text.at(-1 - end)) end += 1;
  node.replaceData(start, before.length - start - end, text.slice(start, text.length - end));
}

const SVG = 'http://www.w3.org/2000/svg';

/** Path data on a 24 by 24 grid, drawn as strokes. */
const ICONS = {
  hash: 'M9.5 4 7.5 20M16.5 4l-2 16M4.5 9h15M4 15h15',
  forum: 'M4 5h11v8H9l-4 3v-3H4zM18 9h2v8h-1v3l-4-3h-5',
  thread: 'M4 5h16v11h-9l-4 4v-4H4zM8 9h8M8 12.2h5',
  menu: 'M4 6.5h16M4 12h16M4 17.5h16',
  close: 'M6 6l12 12M18 6 6 18',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4',
  moon: 'M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z',
  reply: 'M9.5 6 4 11.5 9.5 17M4 11.5h9a7 7 0 0 1 7 7',
  edit: 'M4 20l1-4.5L16.5 4 20 7.5 8.5 19zM14 6.5l3.5 3.5',
  trash: 'M5 7h14M10 4h4M7 7l1 13h8l1-13M10.5 11v5.5M13.5 11v5.5',
  smile: 'M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM8.5 14c1.8 2.7 5.2 2.7 7 0M9 9.5v.5M15 9.5v.5',
  plus: 'M12 5v14M5 12h14',
  send: 'M5 12h13M12.5 6l6 6-6 6',
  file: 'M7 3.5h7l4 4V20.5H7zM14 3.5v4h4',
  down: 'M12 5v14M6 13l6 6 6-6',
  eye: 'M3 12s3.3-6 9-6 9 6 9 6-3.3 6-9 6-9-6-9-6zM12 9.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z',
  copy: 'M9 9h11v11H9zM15 9V4H4v11h5',
  speaker: 'M4 9.5v5h3.5L12 18V6L7.5 9.5zM15 9.2a4 4 0 0 1 0 5.6M17.6 6.6a7.6 7.6 0 0 1 0 10.8',
  mute: 'M4 9.5v5h3.5L12 18V6L7.5 9.5zM15.5 9.5l5 5M20.5 9.5l-5 5',
  deaf: 'M4 14v-2a8 8 0 0 1 2.3-5.6M9 4.6A8 8 0 0 1 20 12v2M4 14h3v5H5.5A1.5 1.5 0 0 1 4 17.5zM20 14h-3M4 3.5l16.5 17',
  hangup: 'M2.5 12.5c5.2-5 13.8-5 19 0v2.3c0 .7-.6 1.2-1.3 1.1l-3.4-.5c-.6-.1-1-.6-1-1.2v-2.1a12 12 0 0 0-7.6 0v2.1c0 .6-.4 1.1-1 1.2l-3.4.5c-.7.1-1.3-.4-1.3-1.1z',
  chat: 'M4 5h16v11H10l-4 3.5V16H4z',
  link: 'M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.3l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.7l1-1',
};

/** A decorative icon by name. */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}
