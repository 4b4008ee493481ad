/**
 * The call that this page is in: joining, hearing and leaving, and the bar that shows it.
 *
 * The page is in one call at a time, as the person who speaks then. The call ends with the page,
 * with the connection, and when another person is chosen to speak as.
 */

import { icon } from './dom.js';
import { Player } from './player.js';

const SPEAKING_SHOWN_MS = 300;
const HEAD_BYTES = 10; // the speaker's id (8) and the sequence number (2)
const SILENCE = [0xf8, 0xff, 0xfe];
const NO_SOUND = 'This browser cannot play the sound of a call. Chromium, Firefox and Safari 26 can.';

export class Voice {
  #call = null; // {channelId, personId}
  #isJoining = false;
  #refusal = '';
  #soundProblem = '';
  #player = null;
  #speaking = new Map(); // timers by the speaker's id
  #level = 0;

  /**
   * @param request (op, fields) → Promise
   * @param onChange called whenever the page may have come into a call or out of one
   */
  constructor({ store, request, onChange }) {
    this.store = store;
    this.request = request;
    this.onChange = onChange;
    this.bar = document.getElementById('voice-bar');
    this.meter = document.getElementById('voice-level');
    this.problem = document.getElementById('voice-problem');
    this.link = document.getElementById('voice-channel');
    this.soundButton = document.getElementById('voice-sound');
    this.leaveButton = document.getElementById('voice-leave');
    this.leaveButton.append(icon('hangup'));
    this.leaveButton.addEventListener('click', () => this.leave());
    this.soundButton.addEventListener('click', () => this.#toggleSound());
    store.on('voice', () => this.#check());
    store.on('channels', () => this.#check());
    store.on('world', () => this.#check());
    store.on('selection', () => {
      this.#refusal = '';
      this.#check();
    });
  }

  /** Where this page is in voice; null: nowhere. */
  get channelId() {
    return this.#call?.channelId ?? null;
  }

  /** Enter a channel as the person who speaks now. Call it in a click, or no sound may start. */
  async join(channelId) {
    if (this.#isJoining || this.channelId === channelId) return;
    const { personId } = this.store;
    this.#isJoining = true;
    this.#refusal = '';
    const isPlaying = this.#startPlayer();
    this.#draw();
    try {
      await isPlaying;
      await this.request('join_voice', { as: personId, channel_id: channelId });
      this.#call = { channelId, personId };
    } catch (error) {
      this.#refusal = error.message;
    }
    this.#isJoining = false;
    if (!this.#call) this.#end();
    this.#check();
  }

  async leave() {
    this.#end();
    try {
      await this.request('leave_voice');
    } catch {
      // The connection is lost, and the call with it.
    }
  }

  /** The connection is lost: the playground has taken the person out of the call. */
  drop() {
    if (this.#call) this.#end();
  }

  /** Take in one packet as the playground sends it. */
  hear(frame) {
    if (!this.#call) return;
    const head = new DataView(frame);
    const speakerId = String(head.getBigUint64(0));
    const opus = new Uint8Array(frame, HEAD_BYTES);
    const isSilence = opus.length === SILENCE.length && SILENCE.every((byte, n) => opus[n] === byte);
    this.#mark(speakerId, !isSilence);
    this.#player?.play(speakerId, head.getUint16(8), opus);
  }

  /** Somebody speaks from their first packet until silence, or until no packet comes. */
  #mark(userId, isSpeaking) {
    clearTimeout(this.#speaking.get(userId));
    if (isSpeaking) this.#speaking.set(userId, setTimeout(() => this.#mark(userId, false), SPEAKING_SHOWN_MS));
    else this.#speaking.delete(userId);
    this.store.setSpeaking(userId, isSpeaking);
  }

  /** Follow what the playground says: the person may have left by another page. */
  #check() {
    const call = this.#call;
    if (call && !this.#isJoining) {
      const { store } = this;
      for (const userId of this.#player?.speakerIds ?? []) {
        if (store.voiceChannelId(userId) !== call.channelId) this.#player.forget(userId);
      }
      if (store.voiceChannelId(call.personId) !== call.channelId) this.#end();
      else if (store.personId !== call.personId || !store.channels.has(call.channelId)) this.leave();
    }
    this.#draw();
  }

  #end() {
    this.#call = null;
    this.#player?.stop();
    this.#player = null;
    this.#soundProblem = '';
    for (const userId of [...this.#speaking.keys()]) this.#mark(userId, false);
    this.#drawLevel(0);
    this.#draw();
  }

  // Sound

  async #startPlayer() {
    if (this.#player) return;
    if (!Player.isSupported) {
      this.#soundProblem = NO_SOUND;
      return;
    }
    const player = new Player({ onLevel: (peak) => this.#drawLevel(peak) });
    this.#player = player;
    try {
      await player.start();
    } catch {
      player.stop();
      this.#player = null;
      this.#soundProblem = 'The sound could not be started.';
    }
  }

  #toggleSound() {
    this.#player.isMuted = !this.#player.isMuted;
    this.#player.context.resume();
    this.#draw();
  }

  // The bar

  #draw() {
    const { store } = this;
    const problem = this.#refusal || this.#soundProblem;
    this.bar.hidden = !this.#call && !this.#isJoining;
    this.problem.hidden = !problem;
    this.problem.textContent = problem;
    document.getElementById('voice-state').textContent = this.#call ? 'Voice connected' : 'Joining voice…';
    this.link.textContent = this.#call ? store.channelName(this.channelId) : '';
    this.link.href = `#${this.channelId ?? ''}`;
    this.leaveButton.disabled = !this.#call;
    this.soundButton.hidden = !this.#player;
    const label = this.#player?.isMuted ? 'Turn the sound on' : 'Turn the sound off';
    if (this.soundButton.title !== label) {
      this.soundButton.replaceChildren(icon(this.#player?.isMuted ? 'mute' : 'speaker'));
      this.soundButton.setAttribute('aria-label', label);
      this.soundButton.title = label;
    }
    this.onChange();
  }

  /** Loudness as the ear takes it: half as high for a quarter of the peak. */
  #drawLevel(peak) {
    const level = Math.round(Math.sqrt(Math.min(peak, 1)) * 100) / 100;
    if (level !== this.#level) this.meter.style.setProperty('--level', level);
    this.#level = level;
  }
}
