/** The engine that needs no server: both networks run in this browser, in a worker. */
import { byId, element, forget, notice } from './dom.js';
import { copyOf, sizeOf } from './frames.js';

/** @returns {{name: string, parallel: number, loaded: Promise<boolean>, predict: Function, live: Function}} */
export function createEngine(config) {
  const worker = new Crew(tellBytes());
  const loaded = worker.ask('load', { config }).then(
    () => {
      forget('loading');
      keepOffline();
      return true;
    },
    (error) => {
      notice('loading', `The networks cannot be loaded: ${error.message}. Load the page again.`, 'bad');
      return false;
    },
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

/** What shows how much of the networks is there; a message that was dismissed, or replaced by an error, stays away. */
function tellBytes() {
  let begun = false;
  return (got, whole) => {
    if (!begun) {
      begun = true;
      notice('loading', '', 'busy');
      const told = document.querySelector('[data-name="loading"] p');
      told.setAttribute('aria-live', 'off'); // nobody wants to hear every megabyte
      told.after(element('progress', { id: 'loading-bytes', max: whole, 'aria-label': 'Networks loaded' }));
    }
    const bar = byId('loading-bytes');
    if (!bar) return;
    bar.value = got;
    const [now, all] = [got, whole].map((bytes) => (bytes / 1e6).toFixed(1));
    const what = got < whole ? `Loading the networks: ${now} of ${all} MB` : 'Starting the networks';
    const text = `${what}. You can choose a photo meanwhile.`;
    const told = bar.previousElementSibling;
    if (told.textContent !== text) told.textContent = text;
  };
}

/** From the next visit on the page needs no connection; of pages that are not trusted browsers keep nothing. */
function keepOffline() {
  navigator.serviceWorker?.register(new URL('../sw.js', import.meta.url)).catch(() => {});
}

/** The worker, asked by promises. */
class Crew {
  #worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  #waiting = new Map();
  #count = 0;

  /** @param {(got: number, whole: number) => void} onBytes */
  constructor(onBytes) {
    this.#worker.addEventListener('message', ({ data: { id, value, error, got, whole } }) => {
      if (id === undefined) {
        onBytes(got, whole);
        return;
      }
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

/** One frame under way and one ahead, so that both the page and the worker have something to do. */
class LiveSession {
  #under = 0;
  #taking = true; // until the networks are there
  #closed = false;
  #frame = 0;
  failed = false;

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
      (error) => {
        this.failed = true;
        onProblem(error.message);
      },
    );
  }

  /** Whether another frame can be taken now. */
  get ready() {
    return !this.#taking && this.#under < this.limits.under_way && !this.#closed;
  }

  /** How many frames are on their way. */
  get pending() {
    return this.#under;
  }

  /**
   * Look at what a picture shows now.
   * @param {HTMLVideoElement | ImageBitmap} picture
   * @param {number} time In seconds.
   * @param {{width: number, height: number}} size In which pixels its faces are told.
   */
  async send(picture, time, size = sizeOf(picture)) {
    this.#under += 1;
    this.#taking = true;
    try {
      const bitmap = await copyOf(picture, this.limits.side);
      this.#taking = false;
      const scale = size.width / bitmap.width;
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
