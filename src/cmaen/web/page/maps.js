/** What the network looked at: the button on a face's card, the map over the face, its legend, and how it is saved. */
import { announce, element, tint } from './dom.js';
import { download } from './save.js';
import { describe, plain, sentence } from './words.js';

/** The colours of a map, from little to much: matplotlib's inferno at equal steps. */
const INFERNO = ['#000004', '#420a68', '#932667', '#dd513a', '#fca50a', '#fcffa4'];
const SIDE = 512; // of a saved map, in pixels
const LEGEND = 84;

export class Maps {
  #answers = new WeakMap(); // by result: what a new result says is asked for anew

  /**
   * @param {{explain?: Function}} engine
   * @param {{colours: Record<string, string>, unsureBelow: number}} look
   */
  constructor(engine, look) {
    this.engine = engine;
    this.look = look;
  }

  /** Whether the engine can tell. */
  get available() {
    return typeof this.engine.explain === 'function';
  }

  /** The crops and maps of all faces of a picture; asked for once. */
  #ask(item) {
    const { result } = item;
    if (!this.#answers.has(result)) {
      const { file, closer, detect, name } = item;
      const answer = this.engine.explain(closer?.blob ?? file, { detect, name });
      answer.catch(() => this.#answers.delete(result));
      this.#answers.set(result, answer);
    }
    return this.#answers.get(result);
  }

  /**
   * The part of a card that shows where the network looked.
   * @param {object} item Of the list of pictures.
   * @param {number} index Of the face.
   */
  part(item, index) {
    const face = item.result.faces[index];
    const place = element('div', { class: 'map' });
    const button = element('button', { type: 'button' }, 'Show what it looked at');
    button.addEventListener('click', async () => {
      button.disabled = true;
      button.textContent = 'Looking again …';
      try {
        const found = (await this.#ask(item)).faces[index];
        if (!found?.explanation) throw new Error('there is none for this face');
        const view = this.#view(found, face, `${stem(item.name)}-face${index + 1}-map.png`);
        place.replaceChildren(view.root);
        view.focus();
        announce('The map of what the network looked at is shown');
      } catch (error) {
        button.disabled = false;
        button.textContent = 'Try again';
        place.replaceChildren(element('p', { class: 'bad' }, `No map: ${sentence(plain(error.message))}`), button);
      }
    });
    place.append(button);
    return place;
  }

  #view({ crop, explanation }, face, name) {
    const said = describe(face, this.look.unsureBelow);
    const heat = element('img', { class: 'heat', src: explanation, alt: '' });
    const toggle = element('button', { type: 'button', 'aria-pressed': 'true' }, 'Map');
    toggle.addEventListener('click', () => {
      heat.hidden = !heat.hidden;
      toggle.setAttribute('aria-pressed', String(!heat.hidden));
    });
    const save = element('button', { type: 'button', 'aria-label': 'Save this map as PNG' }, 'Save');
    save.addEventListener('click', async () => {
      save.disabled = true;
      try {
        download(await drawMap({ crop, explanation, text: said.tags[0], colour: this.look.colours[face.predicted_emotion] }), name);
      } finally {
        save.disabled = false;
      }
    });
    const alt = `The face; the regions that counted most for ${said.title} are marked`;
    const root = element(
      'figure',
      {},
      element('div', { class: 'layers' }, element('img', { src: crop, alt }), heat),
      element(
        'figcaption',
        {},
        element('span', { class: 'scale', 'aria-hidden': 'true' }),
        element('span', { class: 'ends' }, element('span', {}, 'counted little'), element('span', {}, 'counted most')),
        element('span', {}, 'It shows where the network looked, not why.'),
        element('span', { class: 'map-tools' }, toggle, save),
      ),
    );
    root.querySelector('.scale').style.background = `linear-gradient(90deg, ${INFERNO.join(', ')})`;
    tint(root, this.look.colours[face.predicted_emotion]);
    return { root, focus: () => toggle.focus() };
  }
}

/** The file's name without its folders and suffix. */
export function stem(name) {
  return name.split('/').pop().replace(/\.[^.]+$/, '') || 'picture';
}

async function load(address) {
  const image = element('img', { src: address });
  await image.decode();
  return image;
}

/** The face, the map over it, and the legend below, as a PNG. */
async function drawMap({ crop, explanation, text, colour }) {
  const [face, heat] = await Promise.all([load(crop), load(explanation)]);
  const canvas = Object.assign(document.createElement('canvas'), { width: SIDE, height: SIDE + LEGEND });
  const context = canvas.getContext('2d');
  context.fillStyle = '#0e1016';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = 'high';
  context.drawImage(face, 0, 0, SIDE, SIDE);
  context.drawImage(heat, 0, 0, SIDE, SIDE);
  context.fillStyle = colour;
  context.fillRect(16, SIDE + 14, 7, 24);
  context.fillStyle = 'white';
  context.textBaseline = 'middle';
  context.font = '600 20px Inter, system-ui, sans-serif';
  context.fillText(text, 34, SIDE + 27);
  const gradient = context.createLinearGradient(150, 0, SIDE - 150, 0);
  INFERNO.forEach((each, index) => gradient.addColorStop(index / (INFERNO.length - 1), each));
  context.fillStyle = gradient;
  context.fillRect(150, SIDE + 54, SIDE - 300, 14);
  context.strokeStyle = 'rgb(255 255 255 / 0.4)';
  context.strokeRect(150, SIDE + 54, SIDE - 300, 14);
  context.fillStyle = 'white';
  context.font = '500 15px Inter, system-ui, sans-serif';
  context.fillText('counted little', 34, SIDE + 62);
  context.fillText('counted most', SIDE - 138, SIDE + 62);
  return new Promise((done, failed) => {
    canvas.toBlob((blob) => (blob ? done(blob) : failed(new Error('the map cannot be drawn'))), 'image/png');
  });
}
