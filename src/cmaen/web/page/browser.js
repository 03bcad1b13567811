/** The engine that needs no server: both networks run in this browser, in a worker. */
import { forget, notice } from './dom.js';

/** @returns {{name: string, parallel: number, predict: Function, live: Function}} */
export function createEngine(config) {
  const worker = new Crew();
  notice('loading', 'Fetching the networks (20 MB, once). You can choose a photo meanwhile.', 'busy');
  const loaded = worker.ask('load').then(
    () => forget('loading'),
    (error) => notice('loading', `The networks cannot be loaded: ${error.message}`, 'bad'),
  );
  const engine = {
    name: 'browser',
    scheme: config.scheme,
    parallel: 1,
    loaded,
    predict: (blob, { detect = true } = {}) => worker.ask('predict', { blob, detect, scheme: engine.scheme }),
    explain: (blob, { detect = true } = {}) => worker.ask('explain', { blob, detect, scheme: engine.scheme }),
    live: (listeners) => new LiveSession(listeners, worker, engine, config.live),
  };
  return engine;
}

/** The worker, asked by promises. */
class Crew {
  #worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  #waiting = new Map();
  #count = 0;

  constructor() {
    this.#worker.addEventListener('message', ({ data: { id, value, error } }) => {
      const { done, failed } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) done(value);
      else failed(new Error(error));
    });
    this.#worker.addEventListener('error', (event) => {
      for (const { failed } of this.#waiting.values()) failed(new Error(event.message || 'the worker did not start'));
      this.#waiting.clear();
    });
  }

  /** Have a job done. */
  ask(job, input = {}, transfer = []) {
    this.#count += 1;
    const id = this.#count;
    return new Promise((done, failed) => {
      this.#waiting.set(id, { done, failed });
      this.#worker.postMessage({ id, job, ...input }, transfer);
    });
  }
}

function smaller({ videoWidth, videoHeight }, scale) {
  return { resizeWidth: Math.round(videoWidth / scale), resizeHeight: Math.round(videoHeight / scale) };
}

/** One frame under way and one ahead, so that both the page and the worker have something to do. */
class LiveSession {
  #under = 0;
  #taking = true; // until the networks are there
  #closed = false;
  #frame = 0;

  constructor({ onAnswer, onProblem }, worker, engine, limits) {
    this.limits = limits;
    this.engine = engine;
    this.onAnswer = onAnswer;
    this.onProblem = onProblem;
    this.worker = worker;
    worker.ask('begin').then(
      () => {
        this.#taking = false;
      },
      (error) => onProblem(error.message),
    );
  }

  /** Whether another frame can be taken now. */
  get ready() {
    return !this.#taking && this.#under < this.limits.under_way && !this.#closed;
  }

  /** Look at what a video shows now. */
  async send(video, time) {
    this.#under += 1;
    this.#taking = true;
    try {
      const scale = Math.max(1, Math.max(video.videoWidth, video.videoHeight) / this.limits.side);
      const bitmap = await createImageBitmap(video, scale === 1 ? {} : smaller(video, scale));
      this.#taking = false;
      const answer = await this.worker.ask('frame', { bitmap, time, scale, scheme: this.engine.scheme }, [bitmap]);
      const frame = this.#frame;
      this.#frame += 1;
      if (!this.#closed) this.onAnswer({ frame, dropped: 0, ...answer });
    } catch (error) {
      if (!this.#closed) this.onProblem(error.message);
    } finally {
      this.#taking = false;
      this.#under -= 1;
    }
  }

  close() {
    this.#closed = true;
  }
}
