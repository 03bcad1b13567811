/** A still picture with its faces drawn over it; over each of them lies a button. */
import { element, tint } from './dom.js';
import { drawFaces, countColours } from './draw.js';
import { describe } from './words.js';

export class PhotoStage {
  #outlines = new Map();
  #faces = [];
  #resized = new ResizeObserver(() => this.#draw());

  /**
   * @param {HTMLElement} root
   * @param {{colours: Record<string, string>, unsureBelow: number, drawing: object,
   *          onPoint: (key: string | null) => void, onChoose: (key: string | null) => void}} options
   */
  constructor(root, options) {
    this.root = root;
    this.options = options;
  }

  /**
   * Show a picture.
   * @param {Blob} blob
   * @param {string} alt
   * @returns {Promise<HTMLImageElement | null>} Null where this browser cannot show it.
   */
  async open(blob, alt) {
    this.close();
    const address = URL.createObjectURL(blob);
    this.address = address;
    const image = element('img', { class: 'picture', alt });
    image.src = address;
    const overlay = element('canvas', { class: 'overlay', 'aria-hidden': 'true' });
    const frame = element('div', { class: 'frame busy' }, image, overlay);
    const legend = element('ul', { class: 'legend', 'aria-label': 'Colours', hidden: true });
    this.root.style.setProperty('--picture', `url("${address}")`);
    this.root.replaceChildren(frame, legend);
    try {
      await image.decode();
    } catch {
      if (this.address === address) this.blank();
      return null;
    }
    if (this.address !== address) return null;
    frame.style.setProperty('--ratio', image.naturalWidth / image.naturalHeight);
    Object.assign(this, { image, overlay, frame, legend });
    this.#resized.observe(frame);
    return image;
  }

  /** Show no picture, and say why. */
  blank(text = '') {
    this.root.style.removeProperty('--picture');
    this.image = null;
    this.root.replaceChildren(element('p', { class: 'blank' }, text));
  }

  /** Outline these faces. */
  outline(faces) {
    this.frame?.classList.remove('busy');
    for (const { button } of this.#outlines.values()) button.remove();
    this.#outlines.clear();
    this.#faces = faces;
    if (!this.image) return;
    faces.forEach((face, index) => this.#cover(face, index));
    this.#draw();
  }

  /** The button over a face, with its name for when there is no room for it in the picture. */
  #cover(face, index) {
    const { naturalWidth: width, naturalHeight: height } = this.image;
    const { colours, unsureBelow, onPoint, onChoose } = this.options;
    const key = String(index);
    const said = describe(face, unsureBelow);
    const [x, y, w, h] = face.box;
    const [left, top] = [Math.max(x, 0), Math.max(y, 0)];
    const name = element('span', { class: 'tag', 'aria-hidden': 'true' }, `${index + 1} ${said.tags[0]}`);
    const middle = (x + w / 2) / width;
    const sides = { low: y / height < 0.12, 'at-left': middle < 0.15, 'at-right': middle > 0.85, unsure: !said.sure };
    const classes = Object.keys(sides).filter((side) => sides[side]);
    const button = element(
      'button',
      {
        type: 'button',
        class: ['outline', ...classes].join(' '),
        'aria-label': `Face ${index + 1}: ${said.sentence}`,
        'aria-pressed': 'false',
        onclick: () => onChoose(button.getAttribute('aria-pressed') === 'true' ? null : key),
        onpointerenter: () => onPoint(key),
        onpointerleave: () => onPoint(null),
        onfocus: () => onPoint(key),
        onblur: () => onPoint(null),
      },
      name,
    );
    tint(button, colours[face.predicted_emotion]);
    button.style.left = `${(100 * left) / width}%`;
    button.style.top = `${(100 * top) / height}%`;
    button.style.width = `${(100 * (Math.min(x + w, width) - left)) / width}%`;
    button.style.height = `${(100 * (Math.min(y + h, height) - top)) / height}%`;
    this.#outlines.set(key, { button, name });
    this.frame.append(button);
  }

  /** Draw the faces in the size in which the picture is seen. */
  #draw() {
    const { image, overlay, legend } = this;
    if (!image || !overlay.clientWidth) return;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [overlay.clientWidth, overlay.clientHeight].map((side) => Math.round(side * ratio));
    Object.assign(overlay, { width, height });
    const context = overlay.getContext('2d');
    const scale = width / image.naturalWidth;
    const scaled = this.#faces.map((face) => ({ ...face, box: face.box.map((value) => value * scale) }));
    const { colours, unsureBelow } = this.options;
    const tags = drawFaces(context, scaled, { ...this.options, width, height, scale: ratio });
    tags.forEach((tag, index) => {
      this.#outlines.get(String(index)).name.hidden = tag?.text.endsWith(describe(this.#faces[index], unsureBelow).tags[0]);
    });
    const entries = countColours(scaled, tags, unsureBelow);
    legend.hidden = !entries.length;
    legend.replaceChildren(
      ...entries.map(({ label, count, sure }) => {
        const entry = element('li', { class: sure ? '' : 'unsure' }, `${label} ${count}`);
        if (sure) tint(entry, colours[label]);
        return entry;
      }),
    );
  }

  /** Which face is pointed at. */
  point(key) {
    for (const [own, { button }] of this.#outlines) button.classList.toggle('pointed', own === key);
  }

  /** Which face is chosen. */
  choose(key) {
    for (const [own, { button }] of this.#outlines) button.setAttribute('aria-pressed', String(own === key));
  }

  /** Let go of the picture. */
  close() {
    if (this.address) URL.revokeObjectURL(this.address);
    this.#resized.disconnect();
    this.root.style.removeProperty('--picture');
    Object.assign(this, { address: null, image: null, overlay: null, frame: null, legend: null });
    this.#outlines.clear();
    this.#faces = [];
    this.root.replaceChildren();
  }
}
