/** The page: the engine that was configured, and what its parts have to do with each other. */
import { announce, byId, forget, notice } from './dom.js';
import { FilmView } from './film.js';
import { connectIntake } from './intake.js';
import { LiveView } from './live.js';
import { Maps } from './maps.js';
import { arrangeForTouch, configureFor } from './phone.js';
import { PhotoView, title } from './photo.js';
import { PhotoList } from './photos.js';
import { FacePanel } from './results.js';
import { Saving } from './saving.js';
import { PhotoStage } from './stage.js';
import { agreement, plain, sentence } from './words.js';

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];
const CONFUSED = ['sad', 'fear', 'angry'];
const here = (name) => new URL(name, import.meta.url);

/** The parts of the page, and which of photos and live view is shown. */
class Page {
  constructor(config, engine) {
    this.config = config;
    this.engine = engine;
    this.look = {
      labels: config.labels,
      colours: config.colours,
      unsureBelow: config.unsure_below,
      drawing: config.drawing,
    };
    this.linked = { ...this.look, onPoint: (key) => this.point(key), onChoose: (key) => this.choose(key) };
    this.live = null;
    this.panel = new FacePanel(byId('cards'), this.linked);
    this.stage = new PhotoStage(byId('stage'), this.linked);
    const listeners = { onChoose: (item) => this.view.show(item), onChange: () => this.saving.refresh() };
    this.photos = new PhotoList(engine, { ...this.look, ...listeners });
    this.view = new PhotoView(engine, { ...this, maps: new Maps(engine, this.look) });
    this.saving = new Saving(config, { ...this, live: () => this.live });
    connectIntake({
      onPhotos: (files) => this.takePhotos(files),
      onVideo: (file) => this.goLive(FilmView, file.name, (film) => film.file(file)),
      onCamera: () => this.goLive(LiveView, 'Your camera', (live) => live.camera()),
      onExample: (name) => this.example(name),
      onClear: () => this.startAgain(),
      onNothing: (text) => notice('intake', text, 'bad'),
    });
    arrangeForTouch((files) => this.takePhotos(files));
    byId('benchmark-choice').hidden = config.schemes.length < 2;
    byId('benchmark').addEventListener('change', (event) => this.answerAs(event.target.checked));
    this.answerAs(config.scheme === config.benchmark);
    if (config.labels.length !== 7) byId('kinds').textContent = `of ${config.labels.length} expressions`;
    byId('confused').hidden = !CONFUSED.every((label) => config.labels.includes(label));
    byId('stop').addEventListener('click', () => this.stopLive());
  }

  /** Answer what people see, or what the labels of the data set would be; pictures that are shown are asked about again. */
  answerAs(benchmark) {
    const { schemes, scheme, benchmark: asLabelled, perceived, right } = this.config;
    const chosen = benchmark ? asLabelled : (schemes.find((one) => one !== asLabelled) ?? scheme);
    this.engine.scheme = chosen;
    byId('benchmark').checked = benchmark;
    const how = { perceived: chosen === perceived, benchmark: chosen === asLabelled };
    byId('right').textContent = agreement(right[chosen], how);
    this.photos.startOver();
    this.live?.startOver?.();
  }

  /** Show the work instead of the welcome. */
  enter() {
    forget('intake');
    document.body.dataset.view = 'work';
    byId('work').hidden = false;
  }

  /** Let go of everything that is shown. */
  leave(text) {
    this.live?.close();
    this.live = null;
    this.saving.stop();
    this.photos.clear();
    this.stage.close();
    this.panel.clear(text);
    this.view.clear();
    byId('save-all').hidden = true;
    byId('stop').hidden = true;
  }

  startAgain() {
    this.leave();
    byId('work').hidden = true;
    document.body.dataset.view = 'welcome';
    byId('choose-photos').focus();
  }

  takePhotos(files) {
    if (this.live) this.leave();
    this.enter();
    this.photos.add(files, { detect: !byId('crops').checked });
  }

  async example(name) {
    const response = await fetch(here(`./${name}`)).catch(() => null);
    if (!response?.ok) {
      notice('intake', 'The example cannot be loaded. Load the page again.', 'bad');
      return;
    }
    byId('crops').checked = false;
    this.takePhotos([new File([await response.blob()], name, { type: 'image/jpeg' })]);
  }

  /** Show the camera, or a film. */
  async goLive(View, name, begin) {
    this.leave('Starting …');
    this.enter();
    title(name);
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
      notice('intake', sentence(plain(error.message)), 'bad');
    }
  }

  stopLive() {
    this.live?.stop();
    byId('stop').hidden = true;
    byId('save-json').focus();
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
  const config = configureFor(await (await fetch(here('./config.json'))).json());
  const local = config.mode === 'browser';
  const { createEngine } = await import(local ? './browser.js' : './server.js');
  const engine = createEngine(config);
  byId('where').textContent = local
    ? 'In your browser'
    : `On ${LOOPBACK.includes(location.hostname) ? 'this machine' : location.hostname}`;
  byId('told').textContent = config.notice;
  byId('told').hidden = false;
  byId('privacy').textContent = local
    ? `The network, ${config.model}, runs inside this page; your pictures never leave your device. CMAEN ${config.version}.`
    : `Your pictures are sent to this server and never stored. CMAEN ${config.version}.`;
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
