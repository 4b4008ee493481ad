/**
 * What the page knows: the guild, its channels and messages, and who is looking at what.
 *
 * The store takes the server's events in and tells its listeners what changed; it does no I/O
 * but for drafts and the chosen person, which live in this tab's session storage.
 *
 * Events: `world` (everything), `channels`, `selection`, `history` {channelId},
 * `message` {kind, message}, `typing`, `bot`, `voice` (who is in voice, who speaks there).
 */

export const ChannelType = { TEXT: 0, DM: 1, VOICE: 2, NEWS: 5, FORUM: 15 };
export const THREAD_TYPES = new Set([10, 11, 12]);
const MARKS = { [ChannelType.DM]: 'smile', [ChannelType.VOICE]: 'speaker', [ChannelType.FORUM]: 'forum' };
export const MessageFlag = { SUPPRESS_EMBEDS: 4, EPHEMERAL: 64, LOADING: 128 };

const TYPING_SHOWN_MS = 10000;
const KEPT_MESSAGES = 400;
const PALETTE = ['#a8512a', '#2f6bb0', '#7b4fb8', '#9c3d6e', '#5c6b1e', '#8a5a12', '#3d5f8f', '#1c7a6a'];

/** Snowflakes in order of time; they are too long for a number. */
export function compareIds(a, b) {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

/** The name of the icon that stands for a channel. */
export function channelMark({ type }) {
  return THREAD_TYPES.has(type) ? 'thread' : MARKS[type] ?? 'hash';
}

export class Store extends EventTarget {
  guild = { id: '', name: 'Playground' };
  users = new Map();
  channels = new Map();
  commands = [];
  bot = { user: null, online: false };
  notice = null;
  channelId = null;
  personId = sessionStorage.getItem('person');
  unread = new Map();
  speaking = new Set();

  #defaultChannelId = null;
  #histories = new Map();
  #typing = new Map();
  #voiceStates = new Map();
  #drafts = new Map(Object.entries(JSON.parse(sessionStorage.getItem('drafts') ?? '{}')));
  #firstUnread = new Map();

  on(name, listener) {
    this.addEventListener(name, (event) => listener(event.detail));
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  // The server's events

  receive(name, data) {
    switch (name) {
      case 'HELLO': return this.#hello(data);
      case 'MESSAGE_CREATE': return this.#messageCreated(data);
      case 'MESSAGE_UPDATE': return this.#messageUpdated(data);
      case 'MESSAGE_DELETE': return this.#messageDeleted(data);
      case 'TYPING_START': return this.#typingStarted(data);
      case 'CHANNEL_CREATE':
      case 'CHANNEL_UPDATE':
      case 'THREAD_CREATE':
      case 'THREAD_UPDATE': return this.#channelChanged(data);
      case 'CHANNEL_DELETE': return this.#channelDeleted(data);
      case 'REACTION_ADD': return this.#reacted(data, true);
      case 'REACTION_REMOVE': return this.#reacted(data, false);
      case 'VOICE_STATE_UPDATE': return this.#voiceStateChanged(data);
      case 'COMMANDS':
        this.commands = data.commands;
        return undefined;
      case 'BOT':
        this.bot.online = data.online;
        return this.#emit('bot');
      default: return undefined;
    }
  }

  #hello(data) {
    const known = new Map([...this.channels].map(([id, channel]) => [id, channel.last_message_id]));
    this.guild = data.guild;
    this.bot = data.bot;
    this.commands = data.commands;
    this.users = new Map([...data.users, data.bot.user].map((user) => [user.id, user]));
    this.channels = new Map(data.channels.map((channel) => [channel.id, channel]));
    this.#histories.clear();
    this.#typing.clear();
    this.#voiceStates = new Map(data.voice_states.map((state) => [state.user_id, state]));
    for (const channel of data.channels) {
      const missed = known.has(channel.id) && channel.last_message_id !== known.get(channel.id);
      if (missed && channel.id !== this.channelId && !this.unread.has(channel.id)) {
        this.unread.set(channel.id, { count: 1, mentioned: false });
      }
    }
    this.notice = data.notice;
    this.#defaultChannelId = data.default_channel_id;
    if (!this.people.some((user) => user.id === this.personId)) this.personId = this.people[0].id;
    if (!this.canSee(this.channels.get(this.channelId))) this.channelId = this.#defaultChannelId;
    this.#emit('world');
  }

  #messageCreated(message) {
    const channel = this.channels.get(message.channel_id);
    if (channel && !message.ephemeral_for) {
      if (!channel.last_message_id || compareIds(message.id, channel.last_message_id) > 0) {
        channel.last_message_id = message.id;
      }
    }
    this.#typing.get(message.channel_id)?.delete(message.author.id);
    this.#emit('typing');
    const history = this.#histories.get(message.channel_id);
    if (history) {
      history.byId.set(message.id, message);
      const list = history.list;
      let at = list.length;
      while (at > 0 && compareIds(list[at - 1].id, message.id) > 0) at -= 1;
      if (list[at - 1]?.id === message.id) list[at - 1] = message;
      else list.splice(at, 0, message);
    }
    if (message.channel_id === this.channelId) this.#emit('message', { kind: 'create', message });
    if (!this.isWatching(message.channel_id)) this.#countUnread(message);
  }

  #countUnread(message) {
    if (message.author.id === this.personId) return;
    if (message.ephemeral_for && message.ephemeral_for !== this.personId) return;
    const unread = this.unread.get(message.channel_id) ?? { count: 0, mentioned: false };
    const channel = this.channels.get(message.channel_id);
    unread.count += 1;
    unread.mentioned ||= channel?.type === ChannelType.DM
      || Boolean(message.mentions?.some((user) => user.id === this.personId));
    this.unread.set(message.channel_id, unread);
    if (!this.#firstUnread.has(message.channel_id)) {
      this.#firstUnread.set(message.channel_id, message.id);
    }
    this.#emit('channels');
  }

  #messageUpdated(message) {
    const history = this.#histories.get(message.channel_id);
    const before = history?.byId.get(message.id);
    if (!before) return;
    history.byId.set(message.id, message);
    history.list[history.list.indexOf(before)] = message;
    if (message.channel_id === this.channelId) this.#emit('message', { kind: 'update', message });
  }

  #messageDeleted({ id, channel_id: channelId }) {
    const history = this.#histories.get(channelId);
    const message = history?.byId.get(id);
    if (!message) return;
    history.byId.delete(id);
    history.list.splice(history.list.indexOf(message), 1);
    if (channelId === this.channelId) this.#emit('message', { kind: 'delete', message });
  }

  #typingStarted({ channel_id: channelId, user_id: userId }) {
    if (!this.#typing.has(channelId)) this.#typing.set(channelId, new Map());
    this.#typing.get(channelId).set(userId, performance.now() + TYPING_SHOWN_MS);
    setTimeout(() => this.#emit('typing'), TYPING_SHOWN_MS + 20);
    this.#emit('typing');
  }

  #voiceStateChanged(state) {
    if (state.guild_id !== this.guild.id) return;
    if (state.channel_id) this.#voiceStates.set(state.user_id, state);
    else this.#voiceStates.delete(state.user_id);
    this.speaking.delete(state.user_id);
    this.#emit('voice');
  }

  #channelChanged(channel) {
    this.channels.set(channel.id, { ...this.channels.get(channel.id), ...channel });
    this.#emit('channels');
  }

  #channelDeleted({ id }) {
    this.channels.delete(id);
    this.unread.delete(id);
    this.#histories.delete(id);
    if (this.channelId === id) this.select(this.#defaultChannelId);
    this.#emit('channels');
  }

  #reacted({ channel_id: channelId, message_id: messageId, user_id: userId, emoji }, added) {
    const message = this.message(channelId, messageId);
    if (!message) return;
    message.reactions ??= [];
    let reaction = message.reactions.find((other) => other.emoji.name === emoji.name);
    if (!reaction) {
      if (!added) return;
      reaction = { emoji, count: 0, user_ids: [] };
      message.reactions.push(reaction);
    }
    reaction.user_ids = reaction.user_ids.filter((id) => id !== userId);
    if (added) reaction.user_ids.push(userId);
    reaction.count = reaction.user_ids.length;
    message.reactions = message.reactions.filter((other) => other.count > 0);
    if (channelId === this.channelId) this.#emit('message', { kind: 'update', message });
  }

  // Who and where

  get person() {
    return this.users.get(this.personId);
  }

  get people() {
    return [...this.users.values()].filter((user) => !user.bot);
  }

  get channel() {
    return this.channels.get(this.channelId);
  }

  /** A direct message channel is seen by its own person alone. */
  canSee(channel) {
    if (!channel) return false;
    return channel.type !== ChannelType.DM || this.dmPersonId(channel) === this.personId;
  }

  dmPersonId(channel) {
    return channel.recipients?.find((user) => !user.bot)?.id ?? null;
  }

  select(channelId) {
    if (!this.canSee(this.channels.get(channelId))) return;
    this.channelId = channelId;
    this.#emit('selection');
  }

  speakAs(personId) {
    const wasDm = this.channel?.type === ChannelType.DM;
    this.personId = personId;
    sessionStorage.setItem('person', personId);
    if (wasDm) {
      const own = [...this.channels.values()].find(
        (channel) => channel.type === ChannelType.DM && this.canSee(channel));
      this.channelId = own?.id ?? this.#defaultChannelId;
    }
    this.#emit('selection');
  }

  isWatching(channelId) {
    return channelId === this.channelId && document.visibilityState === 'visible';
  }

  markRead(channelId) {
    if (this.unread.delete(channelId)) this.#emit('channels');
  }

  /** The id of the first message that came unseen, told once. */
  takeFirstUnread(channelId) {
    const id = this.#firstUnread.get(channelId) ?? null;
    this.#firstUnread.delete(channelId);
    return id;
  }

  /** Names of those who are typing in the channel, the speaking person left out. */
  typingNames(channelId) {
    const now = performance.now();
    return [...(this.#typing.get(channelId) ?? [])]
      .filter(([userId, until]) => until > now && userId !== this.personId)
      .map(([userId]) => this.userName(userId));
  }

  // Voice

  /** Where somebody is in voice; null: nowhere. */
  voiceChannelId(userId) {
    return this.#voiceStates.get(userId)?.channel_id ?? null;
  }

  /** The voice states of a channel, in the order of the names. */
  voiceStatesIn(channelId) {
    return [...this.#voiceStates.values()]
      .filter((state) => state.channel_id === channelId && this.users.has(state.user_id))
      .sort((a, b) => this.userName(a.user_id).localeCompare(this.userName(b.user_id)));
  }

  setSpeaking(userId, isSpeaking) {
    if (this.speaking.has(userId) === isSpeaking) return;
    if (isSpeaking) this.speaking.add(userId);
    else this.speaking.delete(userId);
    this.#emit('voice');
  }

  // Messages

  /** Messages of a channel that the speaking person may see, oldest first; null before loading. */
  messages(channelId) {
    const history = this.#histories.get(channelId);
    if (!history) return null;
    return history.list.filter((message) => this.isVisible(message));
  }

  message(channelId, messageId) {
    return this.#histories.get(channelId)?.byId.get(messageId);
  }

  isVisible(message) {
    return !message.ephemeral_for || message.ephemeral_for === this.personId;
  }

  hasOlder(channelId) {
    return Boolean(this.#histories.get(channelId)?.hasOlder);
  }

  /** Take in one page of history, which may overlap with what is known. */
  addHistory(channelId, messages, { hasOlder }) {
    const history = this.#histories.get(channelId) ?? { list: [], byId: new Map() };
    for (const message of messages) history.byId.set(message.id, message);
    history.list = [...history.byId.values()].sort((a, b) => compareIds(a.id, b.id));
    history.hasOlder = hasOlder;
    this.#histories.set(channelId, history);
    this.#emit('history', { channelId });
  }

  /** Forget the oldest messages of a long channel; they can be fetched again. */
  trim(channelId) {
    const history = this.#histories.get(channelId);
    if (!history || history.list.length <= KEPT_MESSAGES) return [];
    const dropped = history.list.splice(0, history.list.length - KEPT_MESSAGES / 2);
    for (const message of dropped) history.byId.delete(message.id);
    history.hasOlder = true;
    return dropped;
  }

  // Names and colours

  userName(id) {
    const user = this.users.get(id);
    return user ? user.global_name ?? user.username : 'somebody';
  }

  channelName(id) {
    const channel = this.channels.get(id);
    if (!channel) return 'unknown';
    return channel.type === ChannelType.DM ? this.userName(this.bot.user.id) : channel.name;
  }

  /** A channel's name with the sign that people write before it. */
  placeName(channel) {
    const sign = { [ChannelType.DM]: '@', [ChannelType.VOICE]: '' }[channel.type] ?? '#';
    return `${THREAD_TYPES.has(channel.type) ? '' : sign}${this.channelName(channel.id)}`;
  }

  userColour(user) {
    if (typeof user.accent_color === 'number') {
      return `#${user.accent_color.toString(16).padStart(6, '0')}`;
    }
    return PALETTE[Number(user.id.slice(-3)) % PALETTE.length];
  }

  // Drafts

  draft(key) {
    return this.#drafts.get(key) ?? '';
  }

  keepDraft(key, text) {
    if (text) this.#drafts.set(key, text);
    else this.#drafts.delete(key);
    sessionStorage.setItem('drafts', JSON.stringify(Object.fromEntries(this.#drafts)));
  }
}
