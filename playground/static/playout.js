/**
 * Playout: decoded packets in, an even sound out; the part that runs on the audio thread.
 *
 * Each speaker's sound starts 60 ms after its first packet, and packets may be that late without
 * a gap. Where one comes later still, the sound fades out and in again instead of breaking off.
 * What a hiccup delayed is caught up in the next silence, so the delay does not grow.
 * Everything is 48 kHz stereo, and time is counted in samples.
 */

export const RATE_HZ = 48000;
export const FRAME_SAMPLES = 960;
const START_SAMPLES = 2880;
const CATCH_UP_ABOVE_SAMPLES = 5760;
const MAX_SAMPLES = 24000;
const FADE_SAMPLES = 240;
const SILENT_PEAK = 0.002;
const MAX_LOST = 10;
const LEVEL_EVERY_SAMPLES = 2400;

/** One speaker's packets, on their way to being heard. */
export class Playout {
  #packets = [];
  #at = 0; // samples of the first packet that were heard
  #waited = 0;
  #isPlaying = false;
  #isFadedOut = false;

  /** How much sound waits. */
  get waitingSamples() {
    return this.#packets.reduce((sum, [left]) => sum + left.length, -this.#at);
  }

  /**
   * Take in one packet.
   *
   * @param channels `[left, right]`, Float32Arrays that are this object's own from now on
   * @param lost how many packets before this one are missing; silence takes their place
   */
  push(channels, lost = 0) {
    if (this.waitingSamples > CATCH_UP_ABOVE_SAMPLES && peak(channels) < SILENT_PEAK) return;
    if (this.waitingSamples > MAX_SAMPLES) this.#skip();
    if (lost > 0 && this.#packets.length) {
      this.#fadeOut();
      const gap = new Float32Array(FRAME_SAMPLES * Math.min(lost, MAX_LOST));
      this.#packets.push([gap, gap]);
    }
    if (this.#isFadedOut || !this.#packets.length) fade(channels, 0, 1);
    this.#isFadedOut = false;
    this.#packets.push(channels);
  }

  /** Add what is to be heard now to `[left, right]`, whose length says how much. */
  mixInto(output) {
    const wanted = output[0].length;
    if (!this.#isPlaying) {
      if (!this.#packets.length) return;
      this.#waited += wanted;
      if (this.#waited < START_SAMPLES) return;
      this.#isPlaying = true;
    }
    if (this.waitingSamples < wanted + FADE_SAMPLES) this.#fadeOut();
    let done = 0;
    while (done < wanted && this.#packets.length) {
      const [packet] = this.#packets;
      const count = Math.min(wanted - done, packet[0].length - this.#at);
      for (const [side, samples] of output.entries()) {
        for (let n = 0; n < count; n += 1) samples[done + n] += packet[side][this.#at + n];
      }
      done += count;
      this.#at += count;
      if (this.#at === packet[0].length) {
        this.#packets.shift();
        this.#at = 0;
      }
    }
    if (!this.#packets.length) {
      this.#isPlaying = false;
      this.#waited = 0;
    }
  }

  /** Let the sound end softly with what is there, unless it does already. */
  #fadeOut() {
    if (!this.#isFadedOut) fade(this.#packets.at(-1), 1, 0);
    this.#isFadedOut = true;
  }

  /** Drop what is too old to be heard still: the sound had stood still meanwhile. */
  #skip() {
    while (this.waitingSamples > START_SAMPLES) {
      this.#packets.shift();
      this.#at = 0;
    }
    fade(this.#packets[0], 0, 1);
  }
}

/** A fade at the beginning of a packet (0 to 1) or at its end (1 to 0). */
function fade(channels, from, to) {
  for (const samples of new Set(channels)) {
    const count = Math.min(FADE_SAMPLES, samples.length);
    const start = from < to ? 0 : samples.length - count;
    for (let n = 0; n < count; n += 1) samples[start + n] *= from + ((to - from) * (n + 0.5)) / count;
  }
}

function peak(channels) {
  return channels.reduce((most, samples) => samples.reduce((a, b) => Math.max(a, Math.abs(b)), most), 0);
}

/** Only the audio thread has processors; the page's own code may still use the class above. */
if (globalThis.registerProcessor) {
  registerProcessor('playout', class extends AudioWorkletProcessor {
    #speakers = new Map();
    #peak = 0;
    #measured = 0;

    constructor() {
      super();
      this.port.addEventListener('message', ({ data: { speakerId, channels, lost } }) => {
        if (!this.#speakers.has(speakerId)) this.#speakers.set(speakerId, new Playout());
        this.#speakers.get(speakerId).push(channels, lost);
      });
      this.port.start();
    }

    process(_inputs, [output]) {
      for (const playout of this.#speakers.values()) playout.mixInto(output);
      this.#measure(output);
      return true;
    }

    #measure(output) {
      this.#peak = Math.max(this.#peak, peak(output));
      this.#measured += output[0].length;
      if (this.#measured < LEVEL_EVERY_SAMPLES) return;
      this.port.postMessage(this.#peak);
      this.#peak = 0;
      this.#measured = 0;
    }
  });
}
