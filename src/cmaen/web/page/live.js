/** The camera: frames to an engine, outlines over the picture, the last minute beside it. */
import { rounded } from './answers.js';
import { announce, byId, element, notice } from './dom.js';
import { watchFrames } from './frames.js';
import { Screen } from './screen.js';
import { LEADING, SECONDS, Timeline } from './timeline.js';
import { counted, plain, summary } from './words.js';

const PANEL_EVERY = 120; // milliseconds: nobody reads faster, and the cores have better to do
const RATE_EVERY = 500;

export class LiveView {
  begun = 'The live view has started';
  title = 'camera';
  #records = [];
  #answers = [];
  #faces = [];
  #chosen = null;
  #pointed = null;
  #leading = null;
  #last = '';
  #fresh = null; // the time of a frame that the engine was not given yet
  #began = null;
  #panelled = 0;
  #rated = 0;

  /**
   * @param {object} engine
   * @param {import('./results.js').FacePanel} panel
   * @param {{labels: string[], colours: Record<string, string>, unsureBelow: number,
   *          onPoint: (key: string | null) => void, onChoose: (key: string | null) => void}} look
   */
  constructor(engine, panel, look) {
    this.engine = engine;
    this.panel = panel;
    this.look = look;
  }

  /** Look at the camera. */
  async camera() {
    if (!navigator.mediaDevices) throw new Error('the camera works over https or on this machine (localhost) only');
    const stream = await ask({ facingMode: 'user' }).catch((error) => {
      throw new Error(REFUSALS[error.name] ?? `the camera cannot be used: ${error.message}`);
    });
    if (this.closed) {
      stop(stream); // closed while the browser was still asking: the camera must not stay on
      return;
    }
    const { onPoint, onChoose } = this.look;
    this.screen = new Screen(byId('stage'), { name: 'your camera', look: this.look, onPoint, onChoose });
    this.timeline = new Timeline(this.look);
    byId('cards').before(this.timeline.root);
    byId('work').dataset.moving = 'live';
    await this.#take(stream);
    if (this.closed) return;
    this.session = this.engine.live({
      onAnswer: (answer) => this.#answered(answer),
      onProblem: (problem) => notice('live', `Live view: ${plain(problem)}`, 'bad'),
    });
    this.rate = element('span', { class: 'rate', 'aria-hidden': 'true', hidden: true });
    this.other = element('button', { type: 'button', id: 'other-camera', hidden: true }, 'Switch camera');
    this.other.addEventListener('click', () => this.#switch());
    byId('caption').replaceChildren('Your camera', this.rate);
    byId('tools').prepend(this.other);
    this.other.hidden = (await cameras()).length < 2;
    this.unwatch = watchFrames(this.screen.video, ({ now }) => {
      this.#began ??= now;
      this.#fresh = (now - this.#began) / 1000;
      this.#offer();
    });
  }

  /** Show a camera's pictures. */
  async #take(stream) {
    this.stream = stream;
    const [track] = stream.getVideoTracks();
    this.screen.mirror = track.getSettings().facingMode !== 'environment';
    track.addEventListener('ended', () => notice('live', 'The camera was disconnected.', 'bad'));
    const { video } = this.screen;
    await this.screen.open(() => {
      video.srcObject = stream;
    });
    await video.play().catch(() => {});
  }

  /** The other camera of a phone, or the next one of this device; where that fails, the one that was there. */
  async #switch() {
    const settings = this.stream.getVideoTracks()[0].getSettings();
    this.other.disabled = true;
    stop(this.stream); // few phones open two at a time
    try {
      const wanted = await next(settings);
      const stream = await ask(wanted).catch(() => ask({ deviceId: settings.deviceId }));
      if (this.closed) stop(stream);
      else await this.#take(stream);
      announce('The camera was switched');
    } catch (error) {
      notice('live', `The camera cannot be switched: ${plain(REFUSALS[error.name] ?? error.message)}.`, 'bad');
    }
    this.other.disabled = false;
  }

  /** Give the engine what the camera shows now, if that is new and there is time for it. */
  #offer() {
    const { video } = this.screen;
    if (this.#fresh === null || video.readyState < 2 || document.hidden || this.closed || !this.session.ready) return;
    this.session.send(video, this.#fresh);
    this.#fresh = null;
  }

  #answered(answer) {
    if (this.closed) return;
    this.#offer();
    this.#count();
    if (answer.status === 'error') {
      notice('live', `A frame could not be read: ${plain(answer.error)}`, 'bad');
      return;
    }
    this.#faces = answer.faces ?? [];
    this.#keep(answer);
    this.#leading = this.#faces.find((face) => face.identity === this.#leading?.identity) ?? largest(this.#faces);
    this.timeline.add(answer.time, this.#faces, this.#leading);
    this.#draw(answer.time);
    this.#say(answer);
  }

  /** How many frames were answered in each of the last two seconds. */
  #count() {
    const now = performance.now();
    this.#answers.push(now);
    while (now - this.#answers[0] > 2000) this.#answers.shift();
    const span = (now - this.#answers[0]) / 1000;
    if (span < 0.3 || now - this.#rated < RATE_EVERY) return;
    this.#rated = now;
    const rate = (this.#answers.length - 1) / span;
    this.rate.hidden = false;
    this.rate.textContent = `${rate.toFixed(0)} frames a second`;
    this.rate.dataset.rate = rate.toFixed(1);
  }

  #keep({ frame, dropped: _, ...answer }) {
    this.#records.push({ path: this.title, frame, ...answer, time: rounded(answer.time, 4) });
    while (answer.time - this.#records[0].time > SECONDS) this.#records.shift();
  }

  #draw(time) {
    this.screen.draw(this.#faces, ({ identity }) => identity === this.#chosen || identity === this.#pointed);
    this.timeline.draw(this.#chosen ?? LEADING, time);
    const now = performance.now();
    if (now - this.#panelled < PANEL_EVERY) return;
    this.#panelled = now;
    const inOrder = [...this.#faces].sort((one, other) => one.identity - other.identity); // so that no card jumps
    this.panel.show(inOrder, {
      keyOf: (face) => String(face.identity),
      named: (face) => `Face ${face.identity}`,
      picture: this.screen.video,
      empty: 'No face in sight. Look at the camera, with light on your face.',
    });
  }

  #say(answer) {
    const said = summary({ ...answer, faces: this.#faces }, this.look.unsureBelow);
    const gist = this.#faces.map((face) => face.predicted_emotion).join();
    if (gist === this.#last) return;
    announce(said, 4000);
    this.#last = gist;
  }

  /** Follow one face, or none in particular. */
  choose(key) {
    this.#chosen = key === null ? null : Number(key);
    this.panel.choose(key);
  }

  /** Which face is pointed at. */
  point(key) {
    this.#pointed = key === null ? null : Number(key);
  }

  /** What the page saves. */
  get records() {
    return this.#records;
  }

  /** What is to be drawn into a picture. */
  get still() {
    return this.screen.still;
  }

  /** Stop; the camera's light goes out. What was found stays to be saved. */
  stop() {
    this.closed = true;
    this.unwatch?.();
    this.session?.close();
    this.screen?.video.pause();
    this.other?.remove();
    if (this.stream) stop(this.stream);
    byId('caption').textContent =
      `Stopped. The last minute, ${counted(this.#records.length, 'frame')}, can still be saved.`;
  }

  /** Stop, and forget. */
  close() {
    this.stop();
    this.timeline?.root.remove();
    delete byId('work').dataset.moving;
    byId('stage').replaceChildren();
  }
}

function ask(which) {
  return navigator.mediaDevices.getUserMedia({
    video: { width: { ideal: 640 }, height: { ideal: 480 }, ...which },
    audio: false,
  });
}

function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
}

async function cameras() {
  const devices = (await navigator.mediaDevices.enumerateDevices?.()) ?? [];
  return devices.filter(({ kind }) => kind === 'videoinput');
}

/** Which camera comes after one: the one at the other side, or the next in the list. */
async function next({ facingMode, deviceId }) {
  if (facingMode === 'user') return { facingMode: { exact: 'environment' } };
  if (facingMode === 'environment') return { facingMode: { exact: 'user' } };
  const ids = (await cameras()).map((camera) => camera.deviceId);
  return { deviceId: { exact: ids[(ids.indexOf(deviceId) + 1) % ids.length] } };
}

function largest(faces) {
  const area = ({ box: [, , width, height] }) => width * height;
  return faces.reduce((best, face) => (best && area(best) >= area(face) ? best : face), undefined);
}

const REFUSALS = {
  NotAllowedError: 'the browser was not allowed to use the camera; allow it beside the address, and try again',
  NotFoundError: 'no camera was found on this device',
  NotReadableError: 'the camera is in use by another program',
};
