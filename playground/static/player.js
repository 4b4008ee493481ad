/**
 * The sound of a call: Opus packets in, decoded by the browser, out to the loudspeakers.
 *
 * A browser lets sound start only in answer to a click, so `start` belongs into one.
 */

import { FRAME_SAMPLES, RATE_HZ } from './playout.js';

const FRAME_US = (FRAME_SAMPLES / RATE_HZ) * 1e6;
const FADE_S = 0.01;
const DECODER = { codec: 'opus', sampleRate: RATE_HZ, numberOfChannels: 2 };
const SEQUENCES = 0x10000;
const NEAR = 50;

export class Player {
  context = null;
  output = null;
  #playout = null;
  #speakers = new Map();
  #isMuted = false;

  /** @param onLevel called with the peak of what is heard, 0 to 1, about 20 times a second */
  constructor({ onLevel }) {
    this.onLevel = onLevel;
  }

  /** Whether this browser can decode Opus and play it evenly. */
  static get isSupported() {
    return 'AudioDecoder' in globalThis && 'AudioWorkletNode' in globalThis;
  }

  async start() {
    const context = new AudioContext({ sampleRate: RATE_HZ, latencyHint: 'interactive' });
    this.context = context;
    this.output = new GainNode(context, { gain: this.#isMuted ? 0 : 1 });
    this.output.connect(context.destination);
    const { supported } = await AudioDecoder.isConfigSupported(DECODER);
    if (!supported) throw new Error('no decoder for Opus');
    await context.audioWorklet.addModule('/static/playout.js');
    if (context.state === 'closed') return;
    this.#playout = new AudioWorkletNode(context, 'playout', { numberOfInputs: 0, outputChannelCount: [2] });
    this.#playout.port.addEventListener('message', ({ data }) => this.onLevel(data));
    this.#playout.port.start();
    this.#playout.connect(this.output);
  }

  get speakerIds() {
    return [...this.#speakers.keys()];
  }

  get isMuted() {
    return this.#isMuted;
  }

  set isMuted(isMuted) {
    this.#isMuted = isMuted;
    this.output?.gain.setTargetAtTime(isMuted ? 0 : 1, this.context.currentTime, FADE_S);
  }

  /** Play one packet after those before it; one that comes after its successor is too late. */
  play(speakerId, sequence, opus) {
    if (!this.#playout) return;
    let speaker = this.#speakers.get(speakerId);
    if (speaker?.decoder.state !== 'configured') speaker = this.#newSpeaker(speakerId);
    const lost = missingBetween(speaker.sequence, sequence);
    if (lost < 0) return;
    speaker.sequence = sequence;
    speaker.count += 1;
    speaker.lost.push(lost);
    speaker.decoder.decode(new EncodedAudioChunk({
      type: 'key', timestamp: speaker.count * FRAME_US, duration: FRAME_US, data: opus }));
  }

  /** A speaker is gone; should they come back, their packets are counted anew. */
  forget(speakerId) {
    const decoder = this.#speakers.get(speakerId)?.decoder;
    this.#speakers.delete(speakerId);
    if (decoder && decoder.state !== 'closed') decoder.close();
  }

  stop() {
    for (const speakerId of this.speakerIds) this.forget(speakerId);
    this.#playout = null;
    if (this.context && this.context.state !== 'closed') this.context.close();
  }

  #newSpeaker(speakerId) {
    const lost = []; // of each packet that is being decoded, how many before it are missing
    const decoder = new AudioDecoder({
      output: (sound) => this.#decoded(speakerId, sound, lost.shift()),
      error: () => {}, // it is closed by then, and the next packet opens another
    });
    decoder.configure(DECODER);
    const speaker = { decoder, lost, sequence: null, count: 0 };
    this.#speakers.set(speakerId, speaker);
    return speaker;
  }

  #decoded(speakerId, sound, lost) {
    const channels = [0, 1].map((side) => {
      const samples = new Float32Array(sound.numberOfFrames);
      sound.copyTo(samples, { planeIndex: Math.min(side, sound.numberOfChannels - 1), format: 'f32-planar' });
      return samples;
    });
    sound.close();
    this.#playout?.port.postMessage({ speakerId, channels, lost }, channels.map((samples) => samples.buffer));
  }
}

/** How many packets are missing before this one; negative: it is late. A far jump is a new start. */
function missingBetween(before, sequence) {
  if (before === null) return 0;
  const ahead = (sequence - before + SEQUENCES) % SEQUENCES;
  if (ahead === 0 || ahead > SEQUENCES - NEAR) return -1;
  return ahead <= NEAR ? ahead - 1 : 0;
}
