/** One picture of the list: shown with its faces, or with what to do where there are none. */
import { byId, element, notice } from './dom.js';
import { failure, plain, sentence } from './words.js';

const SMALL = 96; // pixels: a whole photo is larger than that
const SQUARE = 1.2; // the sides of cropped faces differ by no more
const LARGE = 640;
const MUCH = 0.2; // of a picture: what a face in a cropped picture takes at least

export class PhotoView {
  #shown = null;
  #opening = null; // the picture that is being decoded
  #whole = new WeakMap(); // by result: whether the picture looks like a whole photo

  /**
   * @param {object} engine
   * @param {{panel: object, stage: object, photos: object, maps: object}} parts
   */
  constructor(engine, { panel, stage, photos, maps }) {
    Object.assign(this, { engine, panel, stage, photos, maps });
  }

  /** The picture that is shown. */
  get item() {
    return this.#shown;
  }

  /** Show a picture of the list, with what is known of it. */
  async show(item) {
    const fresh = this.#shown !== item;
    this.#shown = item;
    title(item.name);
    byId('caption').textContent = item.name;
    if (fresh) {
      this.panel.clear('Looking …');
      const opening = this.stage.open(item.file, item.name);
      this.#opening = opening;
      await opening;
      if (this.#opening !== opening) return; // another is shown meanwhile
      this.#opening = null;
    } else if (this.#opening) return; // the answer was faster than the picture, and is shown with it
    const { result } = item;
    byId('save-png').disabled = result?.status !== 'ok' || !this.stage.image;
    if (!result) return;
    if (result.status === 'error' && failure(result.error, item.name).another) this.stage.blank();
    else if (!this.stage.image) this.stage.blank(result.status === 'error' ? '' : 'This browser cannot show this kind of picture.');
    this.panel.clear();
    this.panel.show(result.faces, {
      keyOf: (_, index) => String(index),
      named: (_, index) => (result.faces.length > 1 ? `Face ${index + 1}` : 'Face'),
      picture: this.stage.image,
      warning: result.note,
      empty: this.#nothing(item),
      extra: (_, index) => (this.maps.available && !result.note ? this.maps.part(item, index) : null),
    });
    this.stage.outline(item.detect ? result.faces : []);
    this.stage.choose(null);
    if (!item.detect && result.status === 'ok' && !result.note) this.#doubt(item);
  }

  /** Let go of the picture. */
  clear() {
    this.#shown = this.#opening = null;
    title('');
    byId('save-png').disabled = false;
  }

  /** What to do where no face was found, or where there is no picture. */
  #nothing(item) {
    const { result } = item;
    if (result.status === 'error') return this.#failed(item);
    const hint = element('p', { role: 'status' });
    const closer = button('Search again for smaller faces', async () => {
      closer.disabled = true;
      closer.textContent = 'Searching …';
      const found = await this.photos.searchCloser(item).catch((error) => {
        hint.textContent = sentence(plain(error.message));
        return null;
      });
      if (found === false) hint.textContent = 'There are no smaller faces either.';
      if (!found) closer.remove();
    });
    const whole = button('Take the whole picture as one face', () => this.#ask(item, { detect: false }));
    return element(
      'div',
      {},
      element('h3', {}, 'No face was found.'),
      element('p', {}, 'Faces must look roughly towards the camera and be at least about 20 pixels wide.'),
      hint,
      element('p', { class: 'ways' }, closer, whole),
    );
  }

  /** Why there is no answer, said once. */
  #failed(item) {
    const { title: what, advice, another } = failure(item.result.error, item.name);
    const again = button('Try again', () => this.#ask(item, {}));
    const choose = button('Choose another', () => byId('choose-photos').click());
    return element(
      'div',
      { class: 'failed' },
      element('h3', { class: 'bad' }, what),
      element('p', {}, advice),
      element('p', { class: 'ways' }, another ? choose : again),
    );
  }

  async #ask(item, how) {
    await this.photos.again(item, how).catch((error) => notice('again', sentence(plain(error.message)), 'bad'));
  }

  /** Say so where a picture that should be a cropped face looks like a whole photo. */
  async #doubt(item) {
    const { result } = item;
    const image = this.stage.image;
    if (!image) return;
    if (!this.#whole.has(result)) this.#whole.set(result, this.#looksWhole(item.file, item.name, image));
    const faces = await this.#whole.get(result);
    if (!faces || this.#shown !== item || item.result !== result) return;
    const several = this.photos.items.filter((other) => !other.detect && !other.inVain);
    const find = async (items) => {
      byId('crops').checked = false;
      for (const one of items) await this.#ask(one, { detect: true });
    };
    const one = faces === 1;
    this.panel.hint(
      element(
        'div',
        { class: 'empty hint', role: 'status' },
        element('h3', {}, `This looks like a whole photo. Find its ${one ? 'face' : 'faces'}?`),
        element('p', {}, `It was taken as one cropped face, but it shows ${one ? 'a smaller one' : `${faces} faces`}.`),
        element(
          'p',
          { class: 'ways' },
          button(`Find its ${one ? 'face' : 'faces'}`, () => find([item])),
          several.length > 1 ? button(`In all ${several.length} pictures`, () => find(several)) : null,
        ),
      ),
    );
  }

  /** How many faces a picture has that is no cropped face; 0 where it may be one. */
  async #looksWhole(file, name, { naturalWidth: width, naturalHeight: height }) {
    const [short, long] = [Math.min(width, height), Math.max(width, height)];
    if (short < SMALL || (long < SQUARE * short && long < LARGE)) return 0;
    const { faces } = await this.engine.predict(file, { detect: true, name }).catch(() => ({ faces: [] }));
    if (faces.length === 1) {
      const [, , w, h] = faces[0].box;
      return w * h < MUCH * width * height ? 1 : 0;
    }
    return faces.length;
  }
}

const heading = document.querySelector('h1');
const question = [...heading.childNodes];
const site = document.title;

/** The name of what is looked at as the heading and title of the page; the question of the page where there is none. */
export function title(name) {
  heading.replaceChildren(...(name ? [name] : question));
  document.title = name ? `${name} – CMAEN` : site;
}

function button(text, onclick) {
  return element('button', { type: 'button', onclick }, text);
}
