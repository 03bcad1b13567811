/** The camera, or a video as it plays: frames to an engine, outlines over the picture, the last minute below. */
import { rounded } from './answers.js';
import { announce, byId, element, notice } from './dom.js';
import { drawFaces } from './draw.js';
import { LEADING, SECONDS, Timeline } from './timeline.js';
import { counted, plain, summary } from './words.js';

const PANEL_EVERY = 120; // milliseconds: nobody reads faster, and the cores have better to do

export class LiveView {
  #records = [];
  #answers = [];
  #faces = [];
  #chosen = null;
  #pointed = null;
  #leading = null;
  #last = '';
  #frame = -1;
  #shown = 0;

  /**
   * @param {object} engine
   * @param {import('./results.js').FacePanel} panel
   * @param {{labels: string[], colours: Record<string, string>, unsureBelow: number,
   *          onPoint: (key: string | null) => void, onChoose: (key: string | null) => void}} look
   */
  constructor(engine, panel, look) {
    this.onPoint = look.onPoint;
    this.onChoose = look.onChoose;
    this.engine = engine;
    this.panel = panel;
    this.look = look;
  }

  /** Look at the camera. */
  async camera() {
    const wanted = { video: { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: 'user' }, audio: false };
    if (!navigator.mediaDevices) throw new Error('the camera works over https or on this machine (localhost) only');
    this.stream = await navigator.mediaDevices.getUserMedia(wanted).catch((error) => {
      throw new Error(REFUSALS[error.name] ?? `the camera cannot be used: ${error.message}`);
    });
    if (this.closed) {
      this.stop(); // closed while the browser was still asking: the camera must not stay on
      return;
    }
    const [track] = this.stream.getVideoTracks();
    this.mirror = track.getSettings().facingMode !== 'environment';
    track.addEventListener('ended', () => notice('live', 'The camera was taken away.', 'bad'));
    this.name = 'camera';
    await this.#open((video) => {
      video.srcObject = this.stream;
    });
  }

  /** Look at a video file while it plays. */
  async file(file) {
    this.mirror = false;
    this.name = file.name;
    this.address = URL.createObjectURL(file);
    await this.#open((video) => {
      video.src = this.address;
      video.controls = true;
      video.loop = false;
    });
  }

  async #open(source) {
    this.video = element('video', {
      class: `picture${this.mirror ? ' mirror' : ''}`,
      playsinline: true,
      'aria-label': `Live picture: ${this.name}`,
    });
    this.video.muted = true;
    this.overlay = element('canvas', { class: 'overlay', 'aria-hidden': 'true' });
    this.rate = element('span', { class: 'rate', 'aria-hidden': 'true', hidden: true });
    const frame = element('div', { class: 'frame' }, this.video, this.overlay);
    frame.addEventListener('pointermove', (event) => this.onPoint(this.#at(event)));
    frame.addEventListener('pointerleave', () => this.onPoint(null));
    if (this.stream) frame.addEventListener('click', (event) => this.onChoose(this.#at(event)));
    byId('stage').replaceChildren(frame);
    byId('timeline').hidden = false;
    this.timeline = new Timeline(byId('timeline'), this.look);
    source(this.video);
    await new Promise((done, failed) => {
      this.video.addEventListener('loadeddata', done, { once: true });
      this.video.addEventListener(
        'error',
        () => failed(new Error('this browser cannot play the video; MP4 (H.264) and WebM work in most')),
        { once: true },
      );
    });
    if (this.closed) return;
    frame.style.setProperty('--ratio', this.video.videoWidth / this.video.videoHeight);
    this.session = this.engine.live({
      onAnswer: (answer) => this.#answered(answer),
      onProblem: (problem) => notice('live', `Live view: ${plain(problem)}`, 'bad'),
    });
    await this.video.play().catch(() => {});
    byId('caption').replaceChildren(this.stream ? 'Your camera' : this.name, this.rate);
    this.#watch();
  }

  /** Look for a new frame with every picture that the screen shows. */
  #watch() {
    if (this.closed) return;
    this.#offer();
    this.request = requestAnimationFrame(() => this.#watch());
  }

  /** Give the engine what the video shows now, if that is new and there is time for it. */
  #offer() {
    const { video, session } = this;
    const shown = video.currentTime;
    if (shown === this.#frame || video.readyState < 2 || document.hidden || !session.ready) return;
    this.#frame = shown;
    session.send(video, this.stream ? performance.now() / 1000 : shown);
  }

  #answered(answer) {
    if (this.closed) return;
    this.#offer();
    const now = performance.now();
    this.#answers.push(now);
    while (now - this.#answers[0] > 2000) this.#answers.shift();
    const span = (now - this.#answers[0]) / 1000;
    const rate = span > 0.3 ? (this.#answers.length - 1) / span : 0;
    this.rate.hidden = !rate;
    const told = `${rate.toFixed(0)} frames a second`;
    if (this.rate.textContent !== told) this.rate.textContent = told;
    if (rate) this.rate.dataset.rate = rate.toFixed(1);
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

  #keep({ frame, dropped: _, ...answer }) {
    const time = answer.time;
    if (this.#records.length && time < this.#records[this.#records.length - 1].time) this.#records = [];
    this.#records.push({ path: this.name, frame, ...answer, time: rounded(time, 4) });
    while (time - this.#records[0].time > SECONDS) this.#records.shift();
  }

  #draw(time) {
    const { video, overlay } = this;
    const ratio = devicePixelRatio || 1;
    const width = Math.round(overlay.clientWidth * ratio);
    const height = Math.round(overlay.clientHeight * ratio);
    if (overlay.width !== width || overlay.height !== height) Object.assign(overlay, { width, height });
    const scale = width / video.videoWidth;
    const context = overlay.getContext('2d');
    context.clearRect(0, 0, width, height);
    const scaled = this.#faces.map((face) => ({ ...face, box: face.box.map((value) => value * scale) }));
    const chosen = ({ identity }) => identity === this.#chosen || identity === this.#pointed;
    drawFaces(context, scaled, { ...this.look, width, height, scale: ratio, mirror: this.mirror, chosen });
    this.timeline.draw(this.#chosen ?? LEADING, time);
    const now = performance.now();
    if (now - this.#shown < PANEL_EVERY) return;
    this.#shown = now;
    const inOrder = [...this.#faces].sort((one, other) => one.identity - other.identity); // so that no card jumps
    this.panel.show(inOrder, {
      keyOf: (face) => String(face.identity),
      named: (face) => `Face ${face.identity}`,
      picture: video,
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

  /** The key of the face at a place on the screen. */
  #at({ clientX, clientY }) {
    const { left, top, width } = this.overlay.getBoundingClientRect();
    const scale = this.video.videoWidth / width;
    const across = (clientX - left) * scale;
    const x = this.mirror ? this.video.videoWidth - across : across;
    const y = (clientY - top) * scale;
    const hit = this.#faces.find(
      ({ box }) => x >= box[0] && x <= box[0] + box[2] && y >= box[1] && y <= box[1] + box[3],
    );
    return hit ? String(hit.identity) : null;
  }

  /** What the page saves. */
  get records() {
    return this.#records;
  }

  /** What is to be drawn into a picture. */
  get still() {
    const { videoWidth: width, videoHeight: height } = this.video;
    return { picture: this.video, size: { width, height }, faces: this.#faces, mirror: this.mirror };
  }

  /** Stop; the camera's light goes out. What was found stays to be saved. */
  stop() {
    this.closed = true;
    cancelAnimationFrame(this.request);
    this.session?.close();
    this.video?.pause();
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    byId('caption').textContent =
      `Stopped. The last minute, ${counted(this.#records.length, 'frame')}, can still be saved.`;
  }

  /** Stop, and forget. */
  close() {
    this.stop();
    if (this.address) URL.revokeObjectURL(this.address);
    byId('timeline').hidden = true;
    byId('stage').replaceChildren();
  }
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
