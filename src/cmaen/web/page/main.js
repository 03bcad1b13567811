/** The page: the engine that was configured, and what its parts have to do with each other. */
import { announce, byId, element, forget, notice } from './dom.js';
import { annotated } from './draw.js';
import { FilmView } from './film.js';
import { connectIntake } from './intake.js';
import { LiveView } from './live.js';
import { arrangeForTouch } from './phone.js';
import { PhotoList } from './photos.js';
import { FacePanel } from './results.js';
import { asCsv, asJson, download } from './save.js';
import { PhotoStage } from './stage.js';
import { agreement, plain, summary } from './words.js';

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];
const here = (name) => new URL(name, import.meta.url);

/** The parts of the page, and which of photos and live view is shown. */
class Page {
  constructor(config, engine) {
    this.config = config;
    this.engine = engine;
    this.look = { labels: config.labels, colours: config.colours, unsureBelow: config.unsure_below };
    this.linked = { ...this.look, onPoint: (key) => this.point(key), onChoose: (key) => this.choose(key) };
    this.panel = new FacePanel(byId('cards'), this.linked);
    this.stage = new PhotoStage(byId('stage'), this.linked);
    this.photos = new PhotoList(engine, { ...this.look, onChoose: (item) => this.showPhoto(item) });
    this.live = null;
    connectIntake({
      onPhotos: (files) => this.takePhotos(files),
      onVideo: (file) => this.goLive(FilmView, (film) => film.file(file)),
      onCamera: () => this.goLive(LiveView, (live) => live.camera()),
      onExample: () => this.example(),
      onClear: () => this.startAgain(),
      onNothing: (text) => notice('intake', text, 'bad'),
    });
    arrangeForTouch((files) => this.takePhotos(files));
    byId('benchmark-choice').hidden = config.schemes.length < 2;
    byId('benchmark').addEventListener('change', (event) => this.answerAs(event.target.checked));
    this.answerAs(config.scheme === config.benchmark);
    byId('stop').addEventListener('click', () => this.stopLive());
    byId('save-json').addEventListener('click', () => download(asJson(this.records), 'cmaen.json'));
    byId('save-csv').addEventListener('click', () => download(asCsv(this.records, config), 'cmaen.csv'));
    byId('save-png').addEventListener('click', () => this.savePicture());
  }

  /** Answer what people see, or what the labels of the data set would be; pictures that are shown are asked about again. */
  answerAs(benchmark) {
    const { schemes, scheme, benchmark: asLabelled, perceived, right } = this.config;
    const chosen = benchmark ? asLabelled : (schemes.find((one) => one !== asLabelled) ?? scheme);
    this.engine.scheme = chosen;
    byId('benchmark').checked = benchmark;
    byId('right').textContent = agreement(right[chosen], { perceived: chosen === perceived });
    this.photos.startOver();
    this.live?.startOver?.();
  }

  /** Show the work instead of the welcome. */
  enter() {
    forget('intake');
    document.body.dataset.view = 'work';
    byId('work').hidden = false;
  }

  startAgain() {
    this.live?.close();
    this.live = null;
    this.photos.clear();
    this.stage.close();
    this.panel.clear();
    byId('work').hidden = true;
    byId('stop').hidden = true;
    document.body.dataset.view = 'welcome';
    byId('choose-photos').focus();
  }

  takePhotos(files) {
    this.live?.close();
    this.live = null;
    byId('stop').hidden = true;
    this.enter();
    this.photos.add(files, { detect: !byId('crops').checked });
  }

  async example() {
    const response = await fetch(here('./example.jpg'));
    this.takePhotos([new File([await response.blob()], 'example.jpg', { type: 'image/jpeg' })]);
  }

  /** Show the camera, or a film. */
  async goLive(View, begin) {
    this.live?.close();
    this.photos.clear();
    this.stage.close();
    this.panel.clear('Starting …');
    this.enter();
    byId('caption').textContent = 'Starting …';
    const live = new View(this.engine, this.panel, this.linked);
    this.live = live;
    byId('stop').hidden = false;
    try {
      await begin(live);
      if (this.live === live) announce(live.begun);
    } catch (error) {
      if (this.live !== live) return;
      this.startAgain();
      notice('intake', `Sorry, ${plain(error.message)}.`, 'bad');
    }
  }

  stopLive() {
    this.live?.stop();
    byId('stop').hidden = true;
    byId('save-json').focus();
  }

  /** Show a picture of the list, with what is known of it. */
  async showPhoto(item) {
    const fresh = this.shown !== item;
    this.shown = item;
    byId('caption').textContent = item.name;
    if (fresh) {
      this.panel.clear('Looking …');
      await this.stage.open(item.file, item.name);
      if (this.shown !== item) return;
    }
    if (!item.result) return;
    const { result } = item;
    const said = summary(result, this.look.unsureBelow);
    byId('caption').textContent = result.status === 'ok' ? item.name : `${item.name}: ${said}`;
    this.panel.clear();
    this.panel.show(result.faces, {
      keyOf: (_, index) => String(index),
      named: (_, index) => `Face ${index + 1}`,
      picture: this.stage.image,
      empty: this.nothing(item),
      extra: (face, index) => (index === 0 && this.config.explain && item.detect ? this.explaining(item, face) : null),
    });
    this.stage.outline(item.detect ? result.faces : []);
    this.stage.choose(null);
  }

  /** What to do where no face was found, or no picture. */
  nothing(item) {
    if (item.result.status === 'error') return element('p', { class: 'bad' }, plain(item.result.error));
    const again = element(
      'button',
      { type: 'button', onclick: () => this.photos.again(item, { detect: false }) },
      'Take the whole picture as one face',
    );
    return element(
      'div',
      {},
      element('p', {}, 'No face was found. It finds those that look towards the camera, from about 20 pixels on.'),
      again,
    );
  }

  /** The button that asks where the network looked, and its answer. */
  explaining(item, face) {
    const place = element('div', { class: 'explaining' });
    const show = (address) =>
      place.replaceChildren(
        element(
          'figure',
          {},
          element('img', { src: address, alt: 'The face, with the regions marked that the network looked at' }),
          element('figcaption', {}, 'The warm regions counted most for this answer. It says where, not why.'),
        ),
      );
    if (face.explanation) {
      show(face.explanation);
      return place;
    }
    const button = element('button', { type: 'button' }, 'Show where it looked');
    button.addEventListener('click', async () => {
      button.disabled = true;
      button.textContent = 'Looking again …';
      const answer = await this.engine
        .predict(item.file, { detect: item.detect, explain: true, name: item.name })
        .catch((error) => ({ error: error.message, faces: [] }));
      const address = answer.faces[0]?.explanation;
      if (address) {
        face.explanation = address;
        show(address);
        announce('The map of where the network looked is shown');
      } else {
        place.replaceChildren(
          element('p', { class: 'bad' }, `No map: ${plain(answer.error ?? 'the server gave none')}`),
        );
      }
    });
    place.append(button);
    return place;
  }

  point(key) {
    this.panel.point(key);
    (this.live ?? this.stage).point(key);
  }

  choose(key) {
    if (this.live) {
      this.live.choose(key);
      return;
    }
    this.panel.choose(key, { reveal: true });
    this.stage.choose(key);
  }

  /** What is saved: all pictures that are done, or the last minute. */
  get records() {
    return this.live ? this.live.records : this.photos.items.filter((item) => item.result).map((item) => item.result);
  }

  async savePicture() {
    try {
      const { image } = this.stage;
      if (!this.live && !image) throw new Error('this browser cannot show the picture');
      const size = image && { width: image.naturalWidth, height: image.naturalHeight };
      const still = this.live
        ? this.live.still
        : { picture: image, size, faces: this.shown.detect ? (this.shown.result?.faces ?? []) : [] };
      const blob = await annotated(still.picture, still.size, still.faces, { ...this.look, mirror: still.mirror });
      const name =
        (this.live
          ? this.live.title
          : this.shown.name
              .split('/')
              .pop()
              .replace(/\.[^.]+$/, '')) || 'picture';
      download(blob, `${name}-faces.png`);
    } catch (error) {
      notice('save', `The picture cannot be saved: ${plain(error.message)}`, 'bad');
    }
  }
}

/** The button between light and dark; the choice is remembered. */
function connectTheme() {
  const button = byId('theme');
  const system = matchMedia('(prefers-color-scheme: dark)');
  const isDark = () => (document.documentElement.dataset.theme ?? (system.matches ? 'dark' : 'light')) === 'dark';
  const show = () => button.setAttribute('aria-pressed', String(isDark()));
  button.addEventListener('click', () => {
    const chosen = isDark() ? 'light' : 'dark';
    document.documentElement.dataset.theme = chosen;
    try {
      localStorage.setItem('cmaen-theme', chosen);
    } catch {
      // It then holds for this visit.
    }
    show();
  });
  system.addEventListener('change', show);
  show();
}

async function start() {
  connectTheme();
  const config = await (await fetch(here('./config.json'))).json();
  const local = config.mode === 'browser';
  const { createEngine } = await import(local ? './browser.js' : './server.js');
  const engine = createEngine(config);
  byId('where').textContent = local
    ? 'In your browser'
    : `On ${LOOPBACK.includes(location.hostname) ? 'this machine' : location.hostname}`;
  byId('privacy').textContent = local
    ? `The networks run inside this page; no picture leaves your device. CMAEN ${config.version}.`
    : `Pictures go to the server that gave you this page, which keeps none of them. CMAEN ${config.version}.`;
  Promise.resolve(engine.loaded ?? true).then((ready) => {
    byId('where').dataset.state = ready ? 'ready' : 'failed';
  });
  if (/Mac|iPhone|iPad/.test(navigator.userAgent)) document.querySelector('kbd').textContent = '⌘';
  document.body.dataset.ready = 'true';
  return new Page(config, engine);
}

start().catch((error) => {
  byId('where').textContent = 'Not started';
  byId('where').dataset.state = 'failed';
  notice('start', `The page cannot start: ${error.message}`, 'bad');
});
