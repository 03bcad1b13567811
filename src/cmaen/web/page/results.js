/** The panel of faces: a card for each, with the seven probabilities, linked with its outline in the picture. */
import { element, tint } from './dom.js';
import { drawCrop } from './draw.js';
import { describe, percent, reasons } from './words.js';

const OPEN_CARDS = 3;
const CROP_EVERY = 700;

export class FacePanel {
  #cards = new Map();
  #chosen = null;
  #pointed = null;

  /**
   * @param {HTMLElement} root
   * @param {{labels: string[], colours: Record<string, string>, unsureBelow: number,
   *          onPoint: (key: string | null) => void, onChoose: (key: string | null) => void}} options
   */
  constructor(root, options) {
    this.root = root;
    this.options = options;
  }

  /**
   * Show these faces; those that are there already change in place.
   * @param {object[]} faces
   * @param {{keyOf: (face: object, index: number) => string, named: (face: object, index: number) => string,
   *          picture?: CanvasImageSource, empty?: Node | string, warning?: string,
   *          extra?: (face: object, index: number) => Node | null}} how `warning`: why the numbers mean nothing.
   */
  show(faces, { keyOf, named, picture, empty = '', warning = '', extra }) {
    const shown = new Map();
    faces.forEach((face, index) => {
      const key = keyOf(face, index);
      let card = this.#cards.get(key);
      if (!card) {
        card = this.#build(key, named(face, index));
        const more = extra?.(face, index);
        if (more) card.more.append(more);
      }
      this.#fill(card, face, warning);
      if (picture) portray(card, picture, face);
      shown.set(key, card);
    });
    for (const [key, card] of this.#cards) if (!shown.has(key)) card.root.remove();
    this.#cards = shown;
    for (const old of this.root.querySelectorAll('.empty')) old.remove();
    if (!faces.length) this.root.append(element('div', { class: 'empty' }, empty));
    let place = null; // in order, moving only what is out of place
    for (const card of [...shown.values()].reverse()) {
      if (card.root.nextSibling !== place || card.root.parentNode !== this.root)
        this.root.insertBefore(card.root, place);
      place = card.root;
    }
    this.#mark();
  }

  /** Say something above the cards, until others are shown. */
  hint(node) {
    this.root.prepend(node);
  }

  /** Take all cards away. */
  clear(empty = '') {
    this.#chosen = null;
    this.#pointed = null;
    this.show([], { keyOf: String, named: String, empty });
  }

  /** Which face is pointed at, from elsewhere. */
  point(key) {
    this.#pointed = key;
    this.#mark();
  }

  /** Which face is chosen, from elsewhere. */
  choose(key, { reveal = false } = {}) {
    this.#chosen = key;
    this.#mark();
    if (reveal) this.#cards.get(key)?.root.scrollIntoView({ block: 'nearest' });
  }

  #build(key, name) {
    const { labels, colours, onPoint, onChoose } = this.options;
    const crop = element('canvas', { width: 112, height: 112, class: 'crop', 'aria-hidden': 'true' });
    const title = element('strong', { class: 'title' });
    const sign = element('span', { class: 'sign', hidden: true });
    const value = element('span', { class: 'value' });
    const head = element(
      'button',
      {
        type: 'button',
        class: 'head',
        'aria-pressed': 'false',
        onclick: () => onChoose(this.#chosen === key ? null : key),
      },
      crop,
      element('span', { class: 'said' }, element('span', { class: 'who' }, name), title, sign),
      value,
    );
    const bars = new Map();
    const blend = element('div', { class: 'blend', 'aria-hidden': 'true' });
    const list = element('ul', { class: 'bars', 'aria-label': `${name}: probabilities` });
    for (const label of labels) {
      const fill = element('span', { class: 'fill' });
      const number = element('span', { class: 'number' });
      const row = element(
        'li',
        {},
        element('span', { class: 'name' }, label),
        element('span', { class: 'track' }, fill),
        number,
      );
      const part = element('span', {});
      tint(row, colours[label]);
      tint(part, colours[label]);
      blend.append(part);
      list.append(row);
      bars.set(label, { row, fill, number, part });
    }
    const more = element('div', { class: 'more' });
    const root = element(
      'article',
      { class: 'card', 'aria-label': name, onpointerenter: () => onPoint(key), onpointerleave: () => onPoint(null) },
      head,
      blend,
      list,
      more,
    );
    head.addEventListener('focus', () => onPoint(key));
    head.addEventListener('blur', () => onPoint(null));
    return { root, head, crop, title, sign, value, bars, more };
  }

  #fill(card, face, warning) {
    const said = describe(face, this.options.unsureBelow);
    if (card.title.textContent !== said.title) card.title.textContent = said.title;
    card.value.textContent = percent(face.confidence);
    const why = reasons(face);
    const sign = warning || (why ? `unsure: ${why}` : 'unsure');
    if (card.sign.textContent !== sign) card.sign.textContent = sign;
    card.sign.hidden = said.sure && !warning;
    card.root.classList.toggle('unsure', !said.sure);
    card.root.classList.toggle('void', Boolean(warning));
    tint(card.root, this.options.colours[face.predicted_emotion]);
    for (const [label, { row, fill, number, part }] of card.bars) {
      const share = face.probabilities[label] ?? 0;
      fill.style.transform = `scaleX(${share.toFixed(4)})`;
      part.style.flexGrow = Math.max(share, 0.001).toFixed(4);
      number.textContent = percent(share);
      row.classList.toggle('most', label === face.predicted_emotion);
    }
  }

  #mark() {
    const few = this.#cards.size <= OPEN_CARDS;
    for (const [key, card] of this.#cards) {
      const chosen = key === this.#chosen;
      card.root.classList.toggle('pointed', key === this.#pointed);
      card.root.classList.toggle('chosen', chosen);
      card.root.classList.toggle('folded', !few && !chosen);
      card.head.setAttribute('aria-pressed', String(chosen));
    }
  }
}

/** Show the face on its card; of a video now and then. */
function portray(card, picture, face) {
  const now = performance.now();
  if (now - (card.cropped ?? -Infinity) < CROP_EVERY) return;
  card.cropped = now;
  drawCrop(card.crop, picture, face.box);
}
