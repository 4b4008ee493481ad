/**
 * The socket to the playground: requests with answers, events, and a return after a loss.
 *
 * Frames are described in PROTOCOL.md. A request that the server refuses, or whose answer the
 * connection lost, rejects with an Error whose message is one sentence for the person.
 */

const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 5000;
const ANSWER_TIMEOUT_MS = 20000;

export class Connection {
  #socket = null;
  #waiting = new Map();
  #lastRequest = 0;
  #retryMs = RETRY_FIRST_MS;
  #retryTimer = 0;

  /**
   * @param onEvent called with (name, data) for every frame but RESULT
   * @param onSound called with the ArrayBuffer of every binary frame
   * @param onState called with true when connected and false when the connection is lost
   */
  constructor({ onEvent, onSound, onState }) {
    this.onEvent = onEvent;
    this.onSound = onSound;
    this.onState = onState;
    addEventListener('online', () => this.#retryNow());
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') this.#retryNow();
    });
  }

  open() {
    const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(`${scheme}//${location.host}/page/socket`);
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('message', ({ data }) => {
      if (typeof data === 'string') this.#receive(JSON.parse(data));
      else this.onSound(data);
    });
    socket.addEventListener('close', () => this.#lost());
  }

  /** Send one request; resolves with the `data` of its result. */
  request(op, fields = {}) {
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      return Promise.reject(new Error('Not connected at the moment. Please try again shortly.'));
    }
    this.#lastRequest += 1;
    const n = this.#lastRequest;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(n);
        reject(new Error('The playground did not answer in time.'));
      }, ANSWER_TIMEOUT_MS);
      this.#waiting.set(n, { resolve, reject, timer });
      this.#socket.send(JSON.stringify({ op, n, ...fields }));
    });
  }

  /** Upload one file; resolves with its upload id. */
  async upload(file) {
    const form = new FormData();
    form.append('file', file, file.name);
    let response;
    try {
      response = await fetch('/page/upload', { method: 'POST', body: form });
    } catch {
      throw new Error(`${file.name} could not be uploaded: the playground is not reachable.`);
    }
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(answer.error ?? `${file.name} was not accepted by the playground.`);
    return answer.upload_id;
  }

  #receive(frame) {
    if (frame.t !== 'RESULT') {
      if (frame.t === 'HELLO') {
        this.#retryMs = RETRY_FIRST_MS;
        this.onState(true);
      }
      this.onEvent(frame.t, frame.d);
      return;
    }
    const waiting = this.#waiting.get(frame.d.n);
    if (!waiting) return;
    this.#waiting.delete(frame.d.n);
    clearTimeout(waiting.timer);
    if (frame.d.ok) waiting.resolve(frame.d.data ?? {});
    else waiting.reject(new Error(frame.d.error));
  }

  #lost() {
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new Error('The connection was lost before the answer came.'));
    }
    this.#waiting.clear();
    this.onState(false);
    this.#retryTimer = setTimeout(() => this.#retryNow(), this.#retryMs * (0.75 + Math.random() / 2));
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS);
  }

  #retryNow() {
    if (this.#socket?.readyState !== WebSocket.CLOSED) return;
    clearTimeout(this.#retryTimer);
    this.open();
  }
}
