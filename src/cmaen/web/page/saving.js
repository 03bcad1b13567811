/** The buttons that save: the picture that is shown, all pictures in one archive, and the results of all. */
import { announce, byId, notice } from './dom.js';
import { annotated } from './draw.js';
import { stem } from './maps.js';
import { asCsv, asJson, download } from './save.js';
import { counted, plain, sentence } from './words.js';
import { ZipWriter } from './zip.js';

const MOST = 1e9; // bytes of an archive, after which the next one begins
const JPEG = { type: 'image/jpeg', quality: 0.92 };
const PNG = { type: 'image/png' };
const NAMED = 3; // so many pictures that were left out are told by name

export class Saving {
  #running = null;

  /**
   * @param {{columns: string[], labels: string[]}} config
   * @param {{look: object, photos: object, view: object, stage: object, live: () => object | null}} page
   */
  constructor(config, page) {
    Object.assign(this, { config, page });
    byId('save-json').addEventListener('click', () => download(asJson(this.records), 'cmaen.json'));
    byId('save-csv').addEventListener('click', () => download(asCsv(this.records, config), 'cmaen.csv'));
    byId('save-png').addEventListener('click', () => this.#savePicture());
    byId('save-all').addEventListener('click', () => this.#toggle());
  }

  /** What is saved: all pictures that are done, or what was seen live. */
  get records() {
    const { live, photos } = this.page;
    return live()?.records ?? photos.items.filter((item) => item.result).map((item) => item.result);
  }

  /** Say which pictures would be saved. */
  refresh() {
    if (this.#running) return;
    const { photos } = this.page;
    const button = byId('save-all');
    const count = photos.shown.length;
    button.hidden = photos.items.length < 2;
    const these = count === 1 ? 'This picture alone' : `These ${count} pictures`;
    button.textContent = photos.whole ? 'All pictures' : these;
    button.setAttribute('aria-label', `${button.textContent}, with their faces, as one ZIP file`);
    button.disabled = count === 0;
  }

  /** Stop what is being saved. */
  stop() {
    if (this.#running) this.#running.stopped = true;
  }

  async #savePicture() {
    try {
      const { look, stage, view } = this.page;
      const live = this.page.live();
      const { image } = stage;
      if (!live && !image) throw new Error('this browser cannot show the picture');
      const size = image && { width: image.naturalWidth, height: image.naturalHeight };
      const still = live ? live.still : { picture: image, size, faces: drawnFaces(view.item) };
      const blob = await annotated(still.picture, still.size, still.faces, { ...look, mirror: still.mirror });
      download(blob, `${live ? live.title : stem(view.item.name)}-faces.png`);
    } catch (error) {
      notice('save', `The picture cannot be saved: ${sentence(plain(error.message))}`, 'bad');
    }
  }

  #toggle() {
    if (this.#running) this.stop();
    else this.#saveAll();
  }

  /** One picture after the other into an archive; a large one is saved, and the next one begun. */
  async #saveAll() {
    const { photos } = this.page;
    const run = { stopped: false };
    this.#running = run;
    const items = photos.shown.filter((item) => item.result);
    const leftOut = [];
    const button = byId('save-all');
    let archives = 0;
    let zip = new ZipWriter();
    const finish = () => {
      archives += 1;
      download(zip.finish(), `cmaen-pictures${archives === 1 ? '' : `-${archives}`}.zip`);
      zip = new ZipWriter();
    };
    try {
      for (const [index, item] of items.entries()) {
        button.textContent = `Cancel (${index} of ${items.length})`;
        button.removeAttribute('aria-label');
        const made = await this.#drawn(item).catch(() => null);
        if (run.stopped) break;
        if (!made) {
          leftOut.push(item.name);
          continue;
        }
        if (zip.size && zip.size + made.blob.size > MOST) finish();
        await zip.add(made.name, made.blob);
      }
      if (!run.stopped && zip.count) {
        await zip.add('cmaen.csv', asCsv(items.map((item) => item.result), this.config));
        finish();
      }
    } catch (error) {
      notice('save', `The pictures cannot be saved: ${sentence(plain(error.message))}`, 'bad');
      run.stopped = true;
    }
    this.#running = null;
    this.refresh();
    if (!run.stopped) report(items.length - leftOut.length, leftOut);
  }

  /** A picture of the list with its faces, in the format that it had. */
  async #drawn(item) {
    if (item.result.status === 'error') return null;
    const bitmap = await createImageBitmap(item.file);
    try {
      const jpeg = item.file.type === 'image/jpeg' || /\.jpe?g$/i.test(item.name);
      const look = { ...this.page.look, ...(jpeg ? JPEG : PNG) };
      const blob = await annotated(bitmap, bitmap, drawnFaces(item), look);
      return { blob, name: `${stem(item.name)}-faces${jpeg ? '.jpg' : '.png'}` };
    } finally {
      bitmap.close();
    }
  }
}

/** The faces that are drawn into a picture: none where it is one face as a whole. */
function drawnFaces({ detect, result }) {
  return detect ? (result?.faces ?? []) : [];
}

function report(saved, leftOut) {
  const names = leftOut.slice(0, NAMED).join(', ') + (leftOut.length > NAMED ? ' …' : '');
  const more = leftOut.length ? `; ${leftOut.length} left out, because this browser cannot show them: ${names}` : '';
  const text = `${counted(saved, 'picture')} saved${more}.`;
  if (leftOut.length) notice('save', text);
  else announce(text);
}
