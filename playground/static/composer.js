/**
 * The composer: writing, replying, editing, attaching, slash commands and mentions.
 *
 * Names are shown as people read them (`@Sparrow`, `#general`) and sent as Discord's marks
 * (`<@id>`, `<#id>`). A text that could not be sent comes back into the field.
 */

import { avatar } from './avatar.js';
import { listCommands, OptionType, parseSlash, readValues } from './commands.js';
import { Completion } from './completion.js';
import { el, icon } from './dom.js';
import { fileSize } from './format.js';
import { authorName } from './message.js';
import { ChannelType } from './store.js';

const MAX_CHARS = 2000;
const COUNTER_FROM_CHARS = 1800;
const MAX_FILE_BYTES = 8 * 1024 * 1024;
const MAX_FILES = 10;
const PREVIEW_BYTES = 400;
const TYPING_EVERY_MS = 8000;
const AUTOCOMPLETE_WAIT_MS = 120;
const MAX_SUGGESTIONS = 25;

export class Composer {
  #replyTo = null;
  #editing = null;
  #files = [];
  #key = null;
  #typedAt = -TYPING_EVERY_MS;
  #asked = 0;

  /** @param request (op, fields) → Promise, acting as the current person */
  constructor({ store, request, upload, onSent }) {
    this.store = store;
    this.request = request;
    this.upload = upload;
    this.onSent = onSent;
    this.form = document.getElementById('composer');
    this.input = el('textarea', {
      class: 'composer-input', id: 'composer-input', rows: '1', 'aria-autocomplete': 'list',
      spellcheck: 'true', autocapitalize: 'sentences', enterkeyhint: 'send',
    });
    this.completion = new Completion(this.input);
    this.bar = el('div', { class: 'composer-bar', hidden: true });
    this.chips = el('ul', { class: 'chips', 'aria-label': 'Attached files', hidden: true });
    this.problem = el('p', { class: 'composer-problem', role: 'alert', hidden: true });
    this.counter = el('span', { class: 'counter', hidden: true });
    this.picker = el('input', { type: 'file', multiple: true, hidden: true, id: 'file-input', 'aria-label': 'Files to attach' });
    this.form.append(
      this.problem,
      el('div', { class: 'composer-box' },
        this.completion.box, this.bar, this.chips,
        el('div', { class: 'composer-line' },
          el('button', { class: 'icon-button', type: 'button', 'aria-label': 'Attach files', title: 'Attach files', onclick: () => this.picker.click() }, icon('plus')),
          this.input, this.counter,
          el('button', { class: 'icon-button send-button', type: 'submit', 'aria-label': 'Send', title: 'Send' }, icon('send')))),
      this.picker);
    this.#listen();
  }

  #listen() {
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.submit();
    });
    this.input.addEventListener('input', () => this.#typed());
    this.input.addEventListener('click', () => this.#complete());
    this.input.addEventListener('keydown', (event) => this.#keyDown(event));
    this.input.addEventListener('blur', () => this.completion.hide());
    this.input.addEventListener('paste', (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (!files.length) return;
      event.preventDefault();
      this.attach(files);
    });
    this.picker.addEventListener('change', () => {
      this.attach([...this.picker.files]);
      this.picker.value = '';
    });
    this.#listenToDrops();
  }

  #listenToDrops() {
    const target = document.getElementById('drop-target');
    let depth = 0;
    const hasFiles = (event) => event.dataTransfer?.types.includes('Files');
    addEventListener('dragenter', (event) => {
      if (!hasFiles(event)) return;
      depth += 1;
      target.hidden = false;
    });
    addEventListener('dragleave', (event) => {
      if (!hasFiles(event)) return;
      depth -= 1;
      if (depth <= 0) target.hidden = true;
    });
    addEventListener('dragover', (event) => hasFiles(event) && event.preventDefault());
    addEventListener('drop', (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      depth = 0;
      target.hidden = true;
      this.attach([...event.dataTransfer.files]);
    });
  }

  // Where the text goes

  /** Show the draft of the current person in the current channel. */
  open() {
    const { store } = this;
    const key = `${store.personId}:${store.channelId}`;
    if (key !== this.#key) {
      this.#key = key;
      this.#replyTo = null;
      this.#editing = null;
      this.#setText(store.draft(key));
      this.#say(null);
      this.#drawBar();
    }
    this.form.hidden = store.channel?.type === ChannelType.FORUM;
    const place = store.placeName(store.channel);
    this.input.placeholder = `Message ${place}`;
    this.input.setAttribute('aria-label', `Message ${place} as ${store.userName(store.personId)}`);
  }

  focus() {
    this.input.focus({ preventScroll: true });
  }

  reply(message) {
    this.#editing = null;
    this.#replyTo = message;
    this.#drawBar();
    this.focus();
  }

  edit(message) {
    this.#replyTo = null;
    this.#editing = message;
    this.#setText(this.#toShown(message.content));
    this.#drawBar();
    this.focus();
  }

  /** Send a text as if it had been typed. */
  say(text) {
    this.#setText(text);
    this.submit();
  }

  #cancel() {
    if (this.#editing) this.#setText(this.store.draft(this.#key));
    this.#replyTo = null;
    this.#editing = null;
    this.#drawBar();
    this.#say(null);
  }

  #drawBar() {
    const message = this.#editing ?? this.#replyTo;
    this.bar.hidden = !message;
    if (!message) return;
    this.bar.replaceChildren(
      this.#editing ? el('span', {}, 'Editing your message') : el('span', {}, 'Replying to ', el('strong', {}, authorName(message.author))),
      el('button', { class: 'icon-button', type: 'button', 'aria-label': 'Cancel', title: 'Cancel (Esc)', onclick: () => { this.#cancel(); this.focus(); } }, icon('close')));
  }

  #setText(text) {
    this.input.value = text;
    this.completion.hide();
    this.#fit();
  }

  #insert(start, end, text) {
    this.input.setRangeText(text, start, end, 'end');
    this.focus();
    this.#typed();
  }

  #say(sentence, { isError = true } = {}) {
    this.problem.hidden = !sentence;
    this.problem.classList.toggle('is-error', isError);
    this.problem.textContent = sentence ?? '';
  }

  // Typing

  #typed() {
    this.#fit();
    this.#say(null);
    const text = this.input.value;
    if (!this.#editing) this.store.keepDraft(this.#key, text);
    const now = performance.now();
    if (text.trim() && !text.startsWith('/') && now - this.#typedAt > TYPING_EVERY_MS) {
      this.#typedAt = now;
      this.request('typing', { channel_id: this.store.channelId }).catch(() => {});
    }
    this.#complete();
  }

  #fit() {
    this.input.style.height = 'auto';
    this.input.style.height = `${this.input.scrollHeight}px`;
    const length = [...this.#toSent(this.input.value)].length;
    this.counter.hidden = length < COUNTER_FROM_CHARS;
    this.counter.textContent = String(MAX_CHARS - length);
    this.counter.classList.toggle('over', length > MAX_CHARS);
  }

  #keyDown(event) {
    if (event.isComposing) return;
    if (this.completion.handleKey(event)) {
      event.preventDefault();
      return;
    }
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      this.submit();
    } else if (event.key === 'Escape') {
      this.#cancel();
    } else if (event.key === 'ArrowUp' && !this.input.value && !this.#editing) {
      const own = (this.store.messages(this.store.channelId) ?? [])
        .findLast((message) => message.author.id === this.store.personId && message.content);
      if (!own) return;
      event.preventDefault();
      this.edit(own);
    }
  }

  // Sending

  async submit() {
    const text = this.input.value.trim();
    const files = this.#files;
    if (this.#editing) return this.#sendEdit(text);
    if (text.startsWith('/')) return this.#sendCommand(text);
    if (!text && !files.length) return undefined;
    const content = this.#toSent(text);
    if (!this.#fits(content)) return undefined;
    const replyTo = this.#replyTo;
    const key = this.#key;
    const channelId = this.store.channelId;
    this.#replyTo = null;
    this.#files = [];
    this.#clear();
    this.#drawBar();
    this.#drawChips();
    try {
      const uploads = [];
      for (const { file } of files) uploads.push(await this.upload(file));
      const fields = { channel_id: channelId, content };
      if (replyTo) fields.reply_to = replyTo.id;
      if (uploads.length) fields.uploads = uploads;
      await this.request('send', fields);
      for (const { preview } of files) if (preview) URL.revokeObjectURL(preview);
    } catch (error) {
      if (!this.store.draft(key)) this.store.keepDraft(key, text);
      if (this.#key === key) {
        if (!this.input.value) this.#setText(text);
        if (!this.#replyTo) this.#replyTo = replyTo;
        this.#files = [...files, ...this.#files];
        this.#drawBar();
        this.#drawChips();
        this.#say(error.message);
      }
    }
    return undefined;
  }

  async #sendEdit(text) {
    const message = this.#editing;
    const content = this.#toSent(text);
    if (!content && !message.attachments?.length) {
      this.#say('A message cannot be empty; delete it instead.');
      return;
    }
    if (!this.#fits(content)) return;
    try {
      if (content !== message.content) {
        await this.request('edit', { channel_id: message.channel_id, message_id: message.id, content });
      }
      if (this.#editing === message) this.#cancel();
    } catch (error) {
      this.#say(error.message);
    }
  }

  async #sendCommand(text) {
    if (this.#files.length) {
      this.#say('A command takes no files; remove them first.');
      return;
    }
    const parsed = parseSlash(text, text.length, listCommands(this.store.commands));
    if (!parsed.command) {
      this.#say(`There is no command /${parsed.naming}. Type / to see what there is.`);
      return;
    }
    const { values, missing, problem } = readValues(parsed, this.#lookUp());
    if (problem) {
      this.#say(problem);
      return;
    }
    if (missing.length) {
      const end = this.input.value.length;
      const gap = /\s$/.test(this.input.value) ? '' : ' ';
      if (!new RegExp(`\\s${missing[0].name}:\\s*$`).test(this.input.value)) {
        this.#insert(end, end, `${gap}${missing[0].name}:`);
      }
      this.#say(`/${parsed.command.name} needs ${missing.map(({ name }) => name).join(', ')}.`);
      return;
    }
    for (const [name, value] of Object.entries(values)) {
      if (typeof value === 'string') values[name] = this.#toSent(value);
    }
    this.#clear();
    const waiting = setTimeout(() => this.#say(`Waiting for /${parsed.command.name}…`, { isError: false }), 400);
    try {
      await this.request('slash', { channel_id: this.store.channelId, name: parsed.command.name, options: values });
      this.#say(null);
    } catch (error) {
      if (!this.input.value) this.#setText(text);
      this.#say(error.message);
    } finally {
      clearTimeout(waiting);
    }
  }

  #fits(content) {
    const length = [...content].length;
    if (length <= MAX_CHARS) return true;
    this.#say(`Your message has ${length.toLocaleString()} characters; at most ${MAX_CHARS.toLocaleString()} fit.`);
    return false;
  }

  #clear() {
    this.store.keepDraft(this.#key, '');
    this.#typedAt = -TYPING_EVERY_MS;
    this.#setText('');
    this.#say(null);
    this.onSent();
  }

  // Files

  async attach(files) {
    this.#say(null);
    for (const file of files) {
      if (file.size > MAX_FILE_BYTES) {
        this.#say(`${file.name} has ${fileSize(file.size)}; a file may have at most ${fileSize(MAX_FILE_BYTES)}.`);
      } else if (this.#files.length >= MAX_FILES) {
        this.#say(`At most ${MAX_FILES} files fit in one message.`);
      } else {
        const isImage = /^image\/(?!svg)/.test(file.type);
        this.#files.push({
          file,
          preview: isImage ? URL.createObjectURL(file) : null,
          text: isImage ? '' : await readStart(file),
        });
      }
    }
    this.#drawChips();
    this.focus();
  }

  #drawChips() {
    this.chips.hidden = !this.#files.length;
    this.chips.replaceChildren(...this.#files.map((entry) => el('li', { class: 'chip' },
      entry.preview
        ? el('img', { src: entry.preview, alt: '' })
        : entry.text ? el('pre', { 'aria-hidden': 'true' }, entry.text) : el('span', { class: 'chip-icon' }, icon('file')),
      el('span', { class: 'chip-name', title: entry.file.name }, entry.file.name),
      el('small', {}, fileSize(entry.file.size)),
      el('button', { class: 'icon-button chip-remove', type: 'button', 'aria-label': `Remove ${entry.file.name}`, title: 'Remove', onclick: () => this.#detach(entry) }, icon('close')))));
  }

  #detach(entry) {
    if (entry.preview) URL.revokeObjectURL(entry.preview);
    this.#files = this.#files.filter((other) => other !== entry);
    this.#drawChips();
    this.focus();
  }

  // Names as shown and as sent

  #toSent(text) {
    let sent = text;
    for (const [name, id] of this.#namedUsers()) {
      sent = sent.replace(new RegExp(`(^|[^\\w@])@${escape(name)}(?![\\w])`, 'gi'), `$1<@${id}>`);
    }
    for (const channel of this.store.channels.values()) {
      if (!channel.name || /\s/.test(channel.name)) continue;
      sent = sent.replace(new RegExp(`(^|[\\s(])#${escape(channel.name)}(?![\\w-])`, 'g'), `$1<#${channel.id}>`);
    }
    return sent;
  }

  #toShown(text) {
    return text
      .replace(/<@!?(\d+)>/g, (whole, id) => (this.store.users.has(id) ? `@${this.store.userName(id)}` : whole))
      .replace(/<#(\d+)>/g, (whole, id) => (this.store.channels.has(id) ? `#${this.store.channelName(id)}` : whole));
  }

  /** [name, id] of everybody, the longest name first. */
  #namedUsers() {
    return [...this.store.users.keys()].map((id) => [this.store.userName(id), id])
      .sort(([a], [b]) => b.length - a.length);
  }

  #lookUp() {
    const plain = (text) => text.replace(/^[@#]/, '').toLowerCase();
    return {
      user: (text) => this.#namedUsers().find(([name]) => name.toLowerCase() === plain(text))?.[1] ?? null,
      channel: (text) => [...this.store.channels.values()].find(({ name }) => name?.toLowerCase() === plain(text))?.id ?? null,
    };
  }

  // Completion

  #complete() {
    const { value, selectionStart: caret, selectionEnd } = this.input;
    if (caret !== selectionEnd || this.#editing && value.startsWith('/')) {
      this.completion.hide();
    } else if (value.startsWith('/')) {
      this.#completeCommand(value, caret);
    } else {
      this.#completeName(value, caret);
    }
  }

  #completeName(value, caret) {
    const typed = /(?:^|[\s(])([@#])([\w-]*)$/.exec(value.slice(0, caret));
    if (!typed || (typed[1] === '#' && !typed[2])) {
      this.completion.hide();
      return;
    }
    const start = caret - typed[2].length - 1;
    const query = typed[2].toLowerCase();
    const items = typed[1] === '@' ? this.#userItems(query) : this.#channelItems(query);
    this.completion.show({
      items: items.map((item) => ({ ...item, apply: () => this.#insert(start, caret, `${item.label} `) })),
    });
  }

  #userItems(query) {
    const { store } = this;
    const users = [store.bot.user, ...store.people];
    return users
      .filter((user) => authorName(user).toLowerCase().startsWith(query))
      .map((user) => ({ label: `@${authorName(user)}`, detail: user.bot ? 'bot' : null, mark: avatar(user, store, 'tiny') }));
  }

  #channelItems(query) {
    return [...this.store.channels.values()]
      .filter((channel) => channel.name && !/\s/.test(channel.name) && channel.name.toLowerCase().startsWith(query))
      .slice(0, MAX_SUGGESTIONS)
      .map((channel) => ({ label: `#${channel.name}`, detail: channel.topic }));
  }

  #completeCommand(value, caret) {
    const commands = listCommands(this.store.commands);
    const parsed = parseSlash(value, caret, commands);
    if (!parsed.command || value === `/${parsed.command.name}`) {
      this.#offerCommands(value.slice(1).toLowerCase(), commands, Boolean(parsed.command));
      return;
    }
    const heading = signature(parsed);
    if (parsed.current) this.#offerValues(parsed, heading);
    else this.#offerOptions(parsed, heading, value, caret);
  }

  #offerCommands(query, commands, isComplete) {
    const found = commands.filter(({ name }) => name.startsWith(query));
    if (!found.length) {
      const hint = commands.length ? `No command begins with /${query}` : 'The bot has no commands yet.';
      this.completion.show({ heading: hint });
      return;
    }
    const exact = found.find(({ name }) => name === query);
    this.completion.show({
      eager: !isComplete || Boolean(exact?.options.some(({ required }) => required)),
      items: found.slice(0, MAX_SUGGESTIONS).map((command) => {
        const required = command.options.filter((option) => option.required);
        const rest = required.length ? ` ${required[0].name}:` : command.options.length ? ' ' : '';
        return {
          label: `/${command.name}`,
          detail: command.description,
          apply: () => {
            this.#insert(0, this.input.value.length, `/${command.name}${rest}`);
            if (!rest) this.completion.hide();
          },
        };
      }),
    });
  }

  #offerOptions(parsed, heading, value, caret) {
    const used = new Set(parsed.segments.map(({ option }) => option.name));
    const left = parsed.command.options.filter(({ name }) => !used.has(name));
    this.completion.show({
      heading,
      eager: false,
      items: left.map((option) => ({
        label: `${option.name}:`,
        detail: option.description,
        apply: () => this.#insert(caret, caret, `${/\s$/.test(value.slice(0, caret)) ? '' : ' '}${option.name}:`),
      })),
    });
  }

  async #offerValues(parsed, heading) {
    const { option, text, start, end } = parsed.current;
    this.#asked += 1;
    const asked = this.#asked;
    const fill = (label) => this.#insert(start, end, `${label}${this.input.value[end] ? ' ' : ''}`);
    const show = (labels) => {
      const query = text.toLowerCase();
      const isKnown = labels.some((label) => label.toLowerCase() === query);
      const matching = isKnown ? [] : labels.filter((label) => label.toLowerCase().includes(query));
      this.completion.show({
        heading,
        eager: !option.autocomplete,
        items: matching.slice(0, MAX_SUGGESTIONS).map((label) => ({ label, apply: () => fill(label) })),
      });
    };
    if (option.choices?.length) return show(option.choices.map(({ name }) => name));
    if (option.type === OptionType.BOOLEAN) return show(['true', 'false']);
    if (option.type === OptionType.USER || option.type === OptionType.MENTIONABLE) {
      return show(this.#namedUsers().map(([name]) => `@${name}`));
    }
    if (option.type === OptionType.CHANNEL) {
      return show([...this.store.channels.values()].filter(({ name }) => name).map(({ name }) => `#${name}`));
    }
    this.completion.show({ heading });
    if (!option.autocomplete) return undefined;
    await new Promise((resolve) => { setTimeout(resolve, AUTOCOMPLETE_WAIT_MS); });
    if (asked !== this.#asked) return undefined;
    const options = Object.fromEntries(parsed.segments.map((part) => [part.option.name, part.text]));
    try {
      const { choices } = await this.request('autocomplete', {
        channel_id: this.store.channelId, name: parsed.command.name, options, focused: option.name,
      });
      if (asked !== this.#asked || document.activeElement !== this.input) return undefined;
      this.completion.show({
        heading,
        eager: false,
        items: choices.filter(({ value }) => String(value) !== text).slice(0, MAX_SUGGESTIONS)
          .map(({ name, value }) => ({ label: name, apply: () => fill(String(value)) })),
      });
    } catch {
      // No suggestions then; the value can still be typed.
    }
    return undefined;
  }
}

/** The command and its options in one line, the one being typed set off. */
function signature({ command, current }) {
  return [
    el('strong', {}, `/${command.name}`),
    ...command.options.map((option) => el('span', {
      class: `signature-option${option === current?.option ? ' current' : ''}`,
    }, option.required ? option.name : `${option.name}?`)),
    el('span', { class: 'completion-detail' }, current?.option.description ?? command.description),
  ];
}

async function readStart(file) {
  const text = await file.slice(0, PREVIEW_BYTES).text();
  return /[\u0000\uFFFD]/.test(text.slice(0, -4)) ? '' : text;
}

function escape(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
