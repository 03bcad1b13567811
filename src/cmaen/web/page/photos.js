/** Many pictures, one after the other: their list, their progress, and the one that is looked at. */
import { announce, byId, element, tint } from './dom.js';
import { counted, plain, summary } from './words.js';

const THUMB = 96;
const MOST_THUMBS = 500; // the small pictures of a very large folder would fill the memory

export class PhotoList {
  #items = [];
  #working = 0;
  #chosen = null;

  /**
   * @param {object} engine
   * @param {{unsureBelow: number, colours: Record<string, string>, onChoose: (item: object) => void}} options
   */
  constructor(engine, options) {
    this.engine = engine;
    this.options = options;
  }

  get items() {
    return this.#items;
  }

  get chosen() {
    return this.#chosen;
  }

  /** Take in pictures; the first of them is looked at. */
  add(files, { detect }) {
    const items = files.map((file) => this.#listed(file, detect));
    this.#items.push(...items);
    byId('batch').hidden = this.#items.length < 2;
    this.#count();
    if (items.length) this.choose(items[0]);
    this.#work();
  }

  /** Look at one picture. */
  choose(item) {
    this.#chosen?.button.removeAttribute('aria-current');
    this.#chosen = item;
    item.button.setAttribute('aria-current', 'true');
    item.button.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    if (item.result) announce(`${item.name}: ${item.said.textContent}`);
    this.options.onChoose(item);
  }

  /** Ask again for a picture, as a whole face or with another question. */
  async again(item, options) {
    const answer = await this.#asked(item, { detect: item.detect, ...options });
    if (answer.status === 'ok' || !item.result || item.result.status !== 'ok') {
      item.result = answer;
      item.detect = options.detect ?? item.detect;
      this.#finish(item);
    }
    return answer;
  }

  /** Ask about all pictures again, as after a change of the engine. */
  startOver() {
    for (const item of this.#items) if (item.state !== 'waiting') item.state = 'waiting';
    this.#work();
  }

  /** Forget everything; what is under way is not shown any more. */
  clear() {
    this.#items = [];
    this.#chosen = null;
    byId('strip').replaceChildren();
    byId('batch').hidden = true;
  }

  #listed(file, detect) {
    const name = file.webkitRelativePath || file.name || 'pasted picture';
    const thumb = element('canvas', { width: THUMB, height: THUMB, 'aria-hidden': 'true' });
    const said = element('span', { class: 'said' }, 'waiting');
    const item = { file, name, detect, result: null, thumb, said, state: 'waiting' };
    item.button = element(
      'button',
      { type: 'button', class: 'waiting', onclick: () => this.choose(item) },
      thumb,
      element('span', { class: 'name' }, name.split('/').pop()),
      said,
    );
    byId('strip').append(element('li', {}, item.button));
    return item;
  }

  #work() {
    while (this.#working < this.engine.parallel) {
      const item = this.#items.find((one) => one.state === 'waiting');
      if (!item) return;
      item.state = 'working';
      this.#working += 1;
      this.#answer(item).finally(() => {
        this.#working -= 1;
        this.#work();
      });
    }
  }

  async #answer(item) {
    item.said.textContent = 'looking …';
    const result = await this.#asked(item, { detect: item.detect });
    if (item.state === 'waiting') return; // it is asked about again
    item.result = result;
    item.state = 'done';
    if (!this.#items.includes(item)) return;
    this.#finish(item);
    await this.#picture(item);
    if (this.#items.every((one) => one.state === 'done') && this.#items.length > 1) announce(byId('tally').textContent);
  }

  async #asked(item, options) {
    try {
      const { path: _, ...answer } = await this.engine.predict(item.file, { ...options, name: item.name });
      return { path: item.name, ...answer };
    } catch (error) {
      const nothing = { predicted_emotion: null, confidence: null, probabilities: null, faces: [] };
      return { path: item.name, status: 'error', error: plain(error.message), ...nothing };
    }
  }

  #finish(item) {
    const { unsureBelow, colours, onChoose } = this.options;
    const { result } = item;
    item.button.className = result.status;
    item.said.textContent = summary(result, unsureBelow);
    item.button.title = `${item.name}: ${item.said.textContent}`;
    if (result.predicted_emotion) tint(item.button, colours[result.predicted_emotion]);
    this.#count();
    if (item === this.#chosen) {
      announce(`${item.name}: ${item.said.textContent}`);
      onChoose(item);
    }
  }

  /** A small picture of the list entry, decoded at its size. */
  async #picture(item) {
    try {
      if (this.#items.indexOf(item) >= MOST_THUMBS) return;
      const bitmap = await createImageBitmap(item.file, { resizeHeight: THUMB, resizeQuality: 'medium' });
      const side = Math.min(bitmap.width, bitmap.height);
      const left = (bitmap.width - side) / 2;
      item.thumb.getContext('2d').drawImage(bitmap, left, 0, side, side, 0, 0, THUMB, THUMB);
      bitmap.close();
    } catch {
      item.thumb.classList.add('none');
    }
  }

  #count() {
    const done = this.#items.filter((item) => item.state === 'done');
    const of = (status) => done.filter((item) => item.result.status === status).length;
    const faces = done.reduce((sum, item) => sum + item.result.faces.length, 0);
    const parts = [`${done.length} of ${this.#items.length}`, counted(faces, 'face')];
    if (of('no_face')) parts.push(`${of('no_face')} without`);
    if (of('error')) parts.push(`${of('error')} unreadable`);
    byId('tally').textContent = parts.join(' · ');
    const progress = byId('progress');
    progress.max = Math.max(this.#items.length, 1);
    progress.value = done.length;
    progress.hidden = done.length === this.#items.length;
  }
}
