/** Many pictures, one after the other: their list, their progress, the result of all, and the one that is looked at. */
import { enlarge } from './closer.js';
import { announce, byId, element, tint } from './dom.js';
import { ALL, Overview } from './overview.js';
import { countGroups, groupsOf, sortItems } from './tally.js';
import { counted, NO_FACE_HERE, plain, summary } from './words.js';

const THUMB = 96;
const MARGIN = 8;
const REFRESH = 50; // milliseconds
const MOST_THUMBS = 500; // the small pictures of a very large folder would fill the memory

export class PhotoList {
  #items = [];
  #working = 0;
  #chosen = null;
  #filter = ALL;
  #order = 'added';
  #told = true;
  #due = false;

  /**
   * @param {object} engine
   * @param {{labels: string[], unsureBelow: number, colours: Record<string, string>, onChoose: (item: object) => void,
   *          onChange: () => void}} options `onChange`: which pictures are shown has changed.
   */
  constructor(engine, options) {
    this.engine = engine;
    this.options = options;
    this.overview = new Overview({
      colours: options.colours,
      onFilter: (key) => this.filter(key === this.#filter ? ALL : key),
      onOrder: (order) => this.#sort(order),
      onStep: (step) => this.step(step),
    });
  }

  get items() {
    return this.#items;
  }

  get chosen() {
    return this.#chosen;
  }

  /** Those that pass the filter, in the order of the list. */
  get shown() {
    const { unsureBelow } = this.options;
    const passes = (item) => this.#filter === ALL || groupsOf(item.result, unsureBelow).has(this.#filter);
    return sortItems(this.#items, this.#order, this.options).filter(passes);
  }

  /** Whether all pictures are shown. */
  get whole() {
    return this.#filter === ALL;
  }

  /** Take in pictures; the first of them is looked at. */
  add(files, { detect }) {
    const items = files.map((file) => this.#listed(file, detect));
    this.#items.push(...items);
    this.#filter = ALL;
    this.#told = this.#items.length < 2;
    byId('batch').hidden = byId('overview').hidden = this.#items.length < 2;
    this.#count();
    this.#arrange();
    if (items.length) this.choose(items[0]);
    this.#work();
  }

  /** Look at one picture. */
  choose(item, { focus = false } = {}) {
    this.#chosen?.button.removeAttribute('aria-current');
    this.#chosen = item;
    item.button.setAttribute('aria-current', 'true');
    reveal(item.entry);
    if (focus) item.button.focus();
    if (item.result) announce(`${item.name}: ${item.said.textContent}`);
    this.#place();
    this.options.onChoose(item);
  }

  /** Look at the next of the pictures that are shown, or the one before. */
  step(step) {
    const shown = this.shown;
    const next = shown[shown.indexOf(this.#chosen) + step];
    if (next) this.choose(next, { focus: byId('strip').contains(document.activeElement) });
  }

  /** Show the pictures of one group alone; see {@link countGroups}. */
  filter(key) {
    this.#filter = key;
    this.#count();
    this.#arrange();
    const shown = this.shown;
    if (shown.length && !shown.includes(this.#chosen)) this.choose(shown[0]);
    announce(`${counted(shown.length, 'picture')} shown`);
  }

  #sort(order) {
    this.#order = order;
    this.#arrange();
  }

  /**
   * Ask again for a picture.
   * @param {object} item
   * @param {{detect?: boolean}} how Take it as one face, or search it for faces.
   */
  async again(item, { detect = item.detect } = {}) {
    const inVain = !detect && (item.inVain || item.result?.status === 'no_face');
    await this.#replace({ ...item, detect, inVain }, item);
  }

  /**
   * Search a picture for smaller faces: enlarged, it shows those that are too small.
   * @returns {Promise<boolean>} Whether there are any.
   */
  async searchCloser(item) {
    const closer = await enlarge(item.file);
    const answer = await this.#asked({ ...item, closer });
    if (answer.status !== 'ok') return false;
    Object.assign(item, { closer, result: answer });
    this.#finish(item);
    announce(`${item.name}: ${item.said.textContent}`);
    return true;
  }

  async #replace(how, item) {
    item.said.textContent = 'looking …';
    const answer = await this.#asked(how);
    if (answer.status === 'error' && item.result && item.result.status !== 'error') {
      item.said.textContent = summary(item.result, this.options.unsureBelow);
      throw new Error(plain(answer.error));
    }
    Object.assign(item, { detect: how.detect, inVain: how.inVain, result: answer });
    this.#finish(item);
    announce(`${item.name}: ${item.said.textContent}`);
  }

  /** Ask about all pictures again, as after a change of the engine. */
  startOver() {
    for (const item of this.#items) if (item.state !== 'waiting') item.state = 'waiting';
    this.#told = this.#items.length < 2;
    this.#work();
  }

  /** Forget everything; what is under way is not shown any more. */
  clear() {
    this.#items = [];
    this.#chosen = null;
    this.#filter = ALL;
    this.#order = 'added';
    byId('strip').replaceChildren();
    byId('batch').hidden = byId('overview').hidden = true;
    this.overview.clear();
  }

  #listed(file, detect) {
    const name = file.webkitRelativePath || file.name || 'pasted picture';
    const thumb = element('canvas', { width: THUMB, height: THUMB, 'aria-hidden': 'true' });
    const said = element('span', { class: 'said' }, 'waiting');
    const item = { file, name, detect, inVain: false, closer: null, result: null, thumb, said, state: 'waiting' };
    item.button = element(
      'button',
      { type: 'button', class: 'waiting', onclick: () => this.choose(item) },
      thumb,
      element('span', { class: 'name' }, name.split('/').pop()),
      said,
    );
    item.entry = element('li', {}, item.button);
    byId('strip').append(item.entry);
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
    const result = await this.#asked(item);
    if (item.state === 'waiting') return; // it is asked about again
    item.result = result;
    item.state = 'done';
    this.#finish(item);
    await this.#picture(item);
  }

  /** What the engine says of a picture, with its name. */
  async #asked({ file, name, detect, inVain, closer }) {
    try {
      const { path: _, ...answer } = await this.engine.predict(closer?.blob ?? file, { detect, name });
      const faces = closer ? answer.faces.map((face) => closer.shrink(face)) : answer.faces;
      return { path: name, ...answer, faces, ...(inVain ? { note: NO_FACE_HERE } : {}) };
    } catch (error) {
      const nothing = { predicted_emotion: null, confidence: null, probabilities: null, faces: [] };
      return { path: name, status: 'error', error: plain(error.message), ...nothing };
    }
  }

  #finish(item) {
    if (!this.#items.includes(item)) return; // it was forgotten meanwhile
    const { unsureBelow, colours, onChoose } = this.options;
    const { result } = item;
    item.button.className = result.note ? 'no_face' : result.status;
    item.said.textContent = summary(result, unsureBelow);
    item.button.title = `${item.name}: ${item.said.textContent}`;
    if (result.predicted_emotion) tint(item.button, colours[result.predicted_emotion]);
    this.#refreshSoon();
    this.#tell();
    if (item === this.#chosen) onChoose(item);
  }

  /** Say what was found: of a single picture at once, of many when all are done. */
  #tell() {
    if (this.#items.length < 2) announce(`${this.#items[0].name}: ${this.#items[0].said.textContent}`);
    if (this.#told || !this.#items.every((one) => one.state === 'done')) return;
    this.#told = true;
    const groups = this.#groups().map(({ label, faces, pictures }) => `${label} ${faces || pictures}`);
    announce(`All ${this.#items.length} pictures are done. ${groups.join(', ')}`);
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

  #groups() {
    const { labels, unsureBelow } = this.options;
    return countGroups(
      this.#items.map((item) => item.result),
      labels,
      unsureBelow,
    );
  }

  /** The counts, and how far it is. */
  #count() {
    const done = this.#items.filter((item) => item.state === 'done');
    const groups = this.#groups();
    if (this.#filter !== ALL && !groups.some(({ key }) => key === this.#filter)) this.#filter = ALL;
    const faces = groups.reduce((sum, group) => sum + group.faces, 0);
    const parts = [`${done.length} of ${this.#items.length}`, counted(faces, 'face')];
    for (const { key, label, pictures } of groups) if (key === 'no_face' || key === 'error') parts.push(`${pictures} ${label}`);
    byId('tally').textContent = parts.join(' · ');
    const progress = byId('progress');
    progress.max = Math.max(this.#items.length, 1);
    progress.value = done.length;
    progress.hidden = done.length === this.#items.length;
    if (this.#items.length > 1) this.overview.show(groups, { count: this.#items.length, filter: this.#filter });
  }

  /** Count and arrange once for all pictures that are done at about the same time. */
  #refreshSoon() {
    if (this.#due) return;
    this.#due = true;
    setTimeout(() => {
      this.#due = false;
      this.#count();
      this.#arrange();
    }, REFRESH);
  }

  #arrange() {
    const shown = this.shown;
    const strip = byId('strip');
    const focused = document.activeElement;
    const same = shown.length === strip.children.length && shown.every((item, i) => strip.children[i] === item.entry);
    if (!same) {
      strip.replaceChildren(...shown.map((item) => item.entry));
      if (strip.contains(focused)) focused.focus();
    }
    this.#place();
    this.options.onChange?.();
  }

  #place() {
    const shown = this.shown;
    if (this.#items.length > 1) this.overview.place(shown.indexOf(this.#chosen), shown.length);
  }
}

/** Scroll the list, and nothing but the list, to an entry of it: the picture above stays where it is. */
function reveal(entry) {
  const list = byId('strip');
  const [top, bottom] = [entry.offsetTop, entry.offsetTop + entry.offsetHeight];
  if (top < list.scrollTop) list.scrollTop = top - MARGIN;
  else if (bottom > list.scrollTop + list.clientHeight) list.scrollTop = bottom + MARGIN - list.clientHeight;
}
