/** The frames of a film on their way to an engine, and back with its answers: in order, none twice. */
import { copyOf, sizeOf } from './frames.js';

const COPY = 960; // pixels; no engine looks at more of a frame, and copies wait in the memory

export class Feeder {
  #queue = [];
  #under = new Map();
  #feeding = false;

  /**
   * @param {object} engine
   * @param {{onAnswer: (answer: object, copy: ImageBitmap | undefined) => void, onProblem: (problem: string) => void,
   *          onRoom: () => void}} listeners `onAnswer`: the copy of the frame is closed afterwards; `onRoom`: fewer wait.
   */
  constructor(engine, { onAnswer, onProblem, onRoom }) {
    this.onAnswer = onAnswer;
    this.onRoom = onRoom;
    this.session = engine.live({ film: true, onAnswer: (answer) => this.#answered(answer), onProblem });
  }

  /** Take what a video shows now. */
  take(video, time) {
    this.put(time, copyOf(video, COPY), sizeOf(video));
  }

  /** Take what a video shows now as soon as it can be copied: browsers have a first picture a little late. */
  async takeFirst(video, time) {
    for (let tries = 0; tries < 20 && !this.closed; tries += 1) {
      const copy = await copyOf(video, COPY).catch(() => new Promise((done) => setTimeout(() => done(null), 50)));
      if (copy && this.closed) copy.close();
      else if (copy) this.put(time, Promise.resolve(copy), sizeOf(video));
      if (copy) return;
    }
  }

  put(time, copy, size) {
    this.#queue.push({ time, copy: copy.catch(() => null), size });
    this.feed();
  }

  /** How many frames wait for the engine. */
  get waiting() {
    return this.#queue.length;
  }

  /** Whether every frame is answered. */
  get idle() {
    return !this.#queue.length && !this.#feeding && !this.session.pending;
  }

  /** Whether the engine will answer no more. */
  get failed() {
    return this.session.failed;
  }

  /** Give the engine what waits, as long as it takes more. */
  async feed() {
    if (this.#feeding) return;
    this.#feeding = true;
    while (this.#queue.length && !this.closed && this.session.ready) {
      const { time, copy, size } = this.#queue.shift();
      const bitmap = await copy;
      if (bitmap && this.closed) bitmap.close();
      if (!bitmap || this.closed) continue;
      this.#under.set(time, bitmap);
      this.session.send(bitmap, time, size);
    }
    this.#feeding = false;
    if (!this.closed) this.onRoom();
  }

  #answered(answer) {
    if (this.closed) return;
    const copy = this.#under.get(answer.time);
    for (const [time, other] of this.#under) {
      if (time > answer.time) break;
      this.#under.delete(time);
      if (other !== copy) other.close(); // lost on their way
    }
    this.onAnswer(answer, copy);
    copy?.close();
    this.feed();
  }

  /** Forget what the engine was not asked yet, or did not answer. */
  close() {
    this.closed = true;
    this.session.close();
    for (const { copy } of this.#queue) copy.then((bitmap) => bitmap?.close());
    for (const bitmap of this.#under.values()) bitmap.close();
    this.#queue = [];
    this.#under.clear();
  }
}
