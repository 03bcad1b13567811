/** A still picture with its faces outlined; each outline is a button. */
import { element, tint } from './dom.js';
import { describe } from './words.js';

export class PhotoStage {
  #outlines = new Map();

  /**
   * @param {HTMLElement} root
   * @param {{colours: Record<string, string>, unsureBelow: number,
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
    const frame = element('div', { class: 'frame busy' }, image);
    this.root.style.setProperty('--picture', `url("${address}")`);
    this.root.replaceChildren(frame);
    try {
      await image.decode();
    } catch {
      if (this.address !== address) return null;
      frame.replaceWith(element('p', { class: 'blank' }, 'This browser cannot show the picture.'));
      return null;
    }
    if (this.address !== address) return null;
    frame.style.setProperty('--ratio', image.naturalWidth / image.naturalHeight);
    this.image = image;
    this.frame = frame;
    return image;
  }

  /** Outline these faces. */
  outline(faces) {
    this.frame?.classList.remove('busy');
    for (const old of this.#outlines.values()) old.remove();
    this.#outlines.clear();
    if (!this.image) return;
    const { naturalWidth: width, naturalHeight: height } = this.image;
    const { colours, unsureBelow, onPoint, onChoose } = this.options;
    faces.forEach((face, index) => {
      const key = String(index);
      const said = describe(face, unsureBelow);
      const [x, y, w, h] = face.box;
      const button = element(
        'button',
        {
          type: 'button',
          class: `outline${said.sure ? '' : ' unsure'}${y / height < 0.12 ? ' low' : ''}`,
          'aria-label': `Face ${index + 1}: ${said.sentence}`,
          'aria-pressed': 'false',
          onclick: () => onChoose(button.getAttribute('aria-pressed') === 'true' ? null : key),
          onpointerenter: () => onPoint(key),
          onpointerleave: () => onPoint(null),
          onfocus: () => onPoint(key),
          onblur: () => onPoint(null),
        },
        element('span', { class: 'tag', 'aria-hidden': 'true' }, said.tag),
      );
      tint(button, colours[face.predicted_emotion]);
      const [left, top] = [Math.max(x, 0), Math.max(y, 0)];
      button.style.left = `${(100 * left) / width}%`;
      button.style.top = `${(100 * top) / height}%`;
      button.style.width = `${(100 * (Math.min(x + w, width) - left)) / width}%`;
      button.style.height = `${(100 * (Math.min(y + h, height) - top)) / height}%`;
      const middle = (x + w / 2) / width;
      if (middle < 0.15) button.classList.add('at-left');
      if (middle > 0.85) button.classList.add('at-right');
      this.#outlines.set(key, button);
      this.frame.append(button);
    });
  }

  /** Which face is pointed at. */
  point(key) {
    for (const [own, outline] of this.#outlines) outline.classList.toggle('pointed', own === key);
  }

  /** Which face is chosen. */
  choose(key) {
    for (const [own, outline] of this.#outlines) outline.setAttribute('aria-pressed', String(own === key));
  }

  /** Let go of the picture. */
  close() {
    if (this.address) URL.revokeObjectURL(this.address);
    this.root.style.removeProperty('--picture');
    this.address = null;
    this.image = null;
    this.frame = null;
    this.#outlines.clear();
    this.root.replaceChildren();
  }
}
