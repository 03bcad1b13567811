/** A video file: looked at as fast as the engine can, then a film to wind, with what was found in all of it. */
import { rounded } from './answers.js';
import { clock, lasting } from './clock.js';
import { announce, byId, element, forget, notice } from './dom.js';
import { Feeder } from './feeder.js';
import { People } from './film-people.js';
import { FilmRecords } from './film-records.js';
import { FilmTimeline } from './film-timeline.js';
import { watchFrames } from './frames.js';
import { Pace, WAITING } from './pace.js';
import { Screen } from './screen.js';
import { counted, percent, plain } from './words.js';

const TICK = 200; // milliseconds
const PANEL_EVERY = 250;
const TIMELINE_EVERY = 500;
const HANGS = 20; // seconds without an answer after the end

export class FilmView {
  begun = 'The film is being looked at';
  #state = 'opening'; // working, over, closed
  #seen = -Infinity;
  #held = false;
  #worked = 0;
  #quiet = 0;
  #moment = 0;
  #chosen = null;
  #pointed = null;
  #last = {};

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

  /** Look at a video file. */
  async file(file) {
    if (!file.size) throw new Error('the file is empty');
    this.name = file.name;
    this.address = URL.createObjectURL(file);
    this.screen = new Screen(byId('stage'), { name: file.name, look: this.look, onPoint: this.look.onPoint });
    this.video = this.screen.video;
    byId('work').dataset.moving = 'film';
    await this.screen.open((video) => {
      video.src = this.address;
    });
    if (this.#state === 'closed') return;
    this.timeline = new FilmTimeline(this.look, (time) => this.seek(time));
    this.people = new People(this.look, {
      onSeek: (time, identity) => {
        this.seek(time);
        this.look.onChoose(String(identity));
      },
      onChoose: (key) => this.look.onChoose(key),
    });
    document.querySelector('.under').after(this.timeline.root, this.people.root);
    this.unwatch = watchFrames(this.video, (frame) => this.#shown(frame));
    this.video.addEventListener('ended', () => this.#tick());
    this.video.addEventListener('seeked', () => this.#state === 'over' && this.#show(this.video.currentTime));
    this.video.addEventListener('error', () => this.#broken());
    this.onHidden = () => this.#tick();
    document.addEventListener('visibilitychange', this.onHidden);
    this.#begin();
  }

  #begin() {
    const { video } = this;
    this.#state = 'working';
    this.found = new FilmRecords(this.look.labels);
    this.pace = new Pace(video.duration);
    this.scheme = this.engine.scheme;
    [this.#seen, this.#held, this.#worked, this.#quiet, this.#last] = [-Infinity, false, 0, 0, {}];
    this.feeder = new Feeder(this.engine, {
      onAnswer: (answer, copy) => this.#answered(answer, copy),
      onProblem: (problem) => notice('live', `The film: ${plain(problem)}`, 'bad'),
      onRoom: () => this.feeder.waiting <= WAITING.few && !document.hidden && this.#hold(false),
    });
    Object.assign(video, { muted: true, controls: false, loop: false });
    this.#play(this.pace.rate);
    this.bar = element('progress', { max: 1, 'aria-label': 'Looked at' });
    this.progress = element('span', { class: 'film-told' });
    byId('caption').replaceChildren(element('span', {}, this.name), this.bar, this.progress);
    byId('stop').hidden = false;
    delete byId('work').dataset.film;
    this.timeline.busy = true;
    this.people.show([], 0);
    this.timeline.show(null, [], this.#end);
    this.ticking = performance.now();
    this.timer = setInterval(() => this.#tick(), TICK);
    this.#start();
  }

  /** The first frame is taken before the film is played. */
  async #start() {
    const { video, feeder } = this;
    this.#seen = video.currentTime;
    await feeder.takeFirst(video, this.#seen);
    if (feeder === this.feeder && this.#state === 'working') video.play().catch(() => {});
  }

  /** Begin again, under another label scheme. */
  async startOver() {
    if (!['working', 'over'].includes(this.#state) || this.scheme === this.engine.scheme) return;
    this.#finish('again');
    this.video.pause();
    await this.#wind(0);
    if (this.#state === 'again') this.#begin();
  }

  /** How long the film is, as far as one knows. */
  get #end() {
    const { duration } = this.video;
    return Number.isFinite(duration) ? duration : Math.max(this.found.end, this.#moment);
  }

  /** The video shows a frame. */
  #shown({ time, missed }) {
    if (this.#state === 'over') this.#show(time);
    if (this.#state !== 'working' || !this.pace.takes(time, this.#seen, missed)) return;
    this.#seen = time;
    this.feeder.take(this.video, time);
    if (this.feeder.waiting >= WAITING.full) this.#hold();
  }

  #hold(held = true) {
    if (held === this.#held) return;
    this.#held = held;
    if (held) this.video.pause();
    else if (this.#state === 'working' && !this.video.ended) this.video.play().catch(() => {});
  }

  /** A few times a second: how fast, how far, whether it is over. */
  #tick() {
    const now = performance.now();
    const passed = (now - this.ticking) / 1000;
    this.ticking = now;
    if (this.#state !== 'working') return;
    this.feeder.feed();
    if (document.hidden) {
      this.#hold(); // a hidden page is shown no frames
      this.progress.textContent = 'Waits while you are elsewhere';
      return;
    }
    if (this.found.looked) this.#worked += passed;
    const time = this.found.end;
    const [worked, looked] = [this.#worked, this.found.looked];
    const rate = this.pace.settle({ waiting: this.feeder.waiting, looked, worked, time });
    if (Math.abs(rate / this.video.playbackRate - 1) > 0.05) this.#play(rate);
    this.#tell(time);
    const { idle, failed } = this.feeder;
    this.#quiet = idle || !this.video.ended ? 0 : this.#quiet + passed;
    if (failed) this.#finish('partly');
    else if (this.video.ended && (idle || this.#quiet > HANGS)) this.#finish('whole');
  }

  #play(rate) {
    try {
      this.video.playbackRate = rate;
    } catch {
      this.pace.rate = this.video.playbackRate; // as fast as this browser plays
    }
  }

  #tell(time) {
    const { duration } = this.video;
    const known = Number.isFinite(duration) && duration > 0;
    const left = this.pace.left({ worked: this.#worked, time });
    const parts = [known ? `${percent(Math.min(time / duration, 1))} of ${lasting(duration)}` : `${lasting(time)} so far`];
    if (!this.found.looked) parts.push('waiting for the networks …');
    if (left !== null) parts.push(left < 1 ? 'done in a moment' : `about ${left < 60 ? `${Math.ceil(left)} s` : lasting(left)} left`);
    if (this.#worked > 1) parts.push(`${Math.round(this.found.looked / this.#worked)} frames/s`);
    this.progress.textContent = parts.join(' · ');
    this.progress.dataset.looked = this.found.looked;
    if (known) this.bar.value = Math.min(time / duration, 1);
    else this.bar.removeAttribute('value');
    const quarter = known ? Math.floor((4 * time) / duration) : 0;
    if (quarter > (this.#last.quarter ?? 0) && quarter < 4) announce(`${25 * quarter}% of the film`);
    this.#last.quarter = quarter;
  }

  #answered({ frame: _, dropped: __, ...answer }, copy) {
    if (answer.status === 'error') {
      notice('live', `A frame could not be read: ${plain(answer.error)}`, 'bad');
      return;
    }
    const record = { path: this.name, frame: this.found.looked, ...answer, time: rounded(answer.time, 4) };
    this.found.add(record);
    this.#moment = record.time;
    if (copy) this.#preview(record, copy);
  }

  /** Show a frame that was just answered, as it was. */
  #preview({ time, faces }, bitmap) {
    this.screen.draw(faces, this.#isMarked, bitmap);
    const scale = bitmap.width / this.video.videoWidth;
    const small = faces.map((face) => ({ ...face, box: face.box.map((value) => value * scale) }));
    small.forEach((face) => this.people.portray(bitmap, face, face.box));
    if (this.#isDue('panel', PANEL_EVERY)) this.#tellFaces(small, bitmap);
    if (!this.#isDue('timeline', TIMELINE_EVERY)) return;
    this.#showPerson(this.#chosen ?? this.#leading());
    this.timeline.point(time, faces);
  }

  #isMarked = ({ identity }) => identity === this.#chosen || identity === this.#pointed;

  #isDue(what, every) {
    const now = performance.now();
    if (now - (this.#last[what] ?? -Infinity) < every) return false;
    this.#last[what] = now;
    return true;
  }

  #tellFaces(faces, picture) {
    const inOrder = [...faces].sort((one, other) => one.identity - other.identity); // so that no card jumps
    this.panel.show(inOrder, {
      keyOf: (face) => String(face.identity),
      named: (face) => `Person ${face.identity}`,
      picture,
      empty: this.#state === 'over' ? 'No face at this moment.' : 'No face so far.',
    });
  }

  /** The moments of each person; the last frame of a film lasts until its end. */
  get #persons() {
    return this.found.persons(this.#state === 'over' ? this.#end : this.found.end);
  }

  /** Who has most moments. */
  #leading() {
    let [best, most] = [null, 0];
    for (const [identity, { length }] of this.#persons) if (length > most) [best, most] = [identity, length];
    return best;
  }

  #showPerson(identity) {
    this.timeline.show(identity, this.#persons.get(identity) ?? [], this.#end);
  }

  /** It is over: the film can be wound. */
  #finish(how) {
    clearInterval(this.timer);
    this.#state = how === 'again' ? 'again' : 'over';
    this.feeder.close();
    forget('live');
    if (how === 'again') return;
    const { video } = this;
    video.pause();
    Object.assign(video, { controls: true, muted: false });
    this.#play(1);
    const wasFocused = document.activeElement === byId('stop');
    byId('stop').hidden = true;
    byId('work').dataset.film = 'done';
    const { looked, stride } = this.found;
    const kept = stride > 1 ? `, of which every ${ordinal(stride)} is kept` : '';
    const parts = [this.name, `${counted(looked, 'frame')} looked at${kept}`];
    if (how !== 'whole') parts.push(`stopped at ${clock(this.found.end, 1)}`);
    byId('caption').textContent = parts.join(' · ');
    this.timeline.busy = false;
    const rows = this.found.summary(this.#end);
    this.people.show(rows, this.#end);
    this.#showPerson(this.#chosen ?? rows[0]?.identity ?? null);
    announce(`The film is done: ${this.people.title.textContent}`);
    if (wasFocused) this.timeline.field.focus();
    this.seek(0);
  }

  /** The video ends before its end. */
  #broken() {
    if (this.#state !== 'working') return;
    const at = clock(this.#seen > 0 ? this.#seen : 0, 1);
    notice('film', `The file is damaged or incomplete: it can be read up to ${at}. What was found until then stays.`, 'bad');
    this.#finish('partly');
  }

  /** Go to a moment, in seconds; what was found there is shown at once, the picture when it comes. */
  async seek(time) {
    if (this.#state !== 'over') return;
    this.#moment = time;
    const faces = this.found.at(time)?.faces ?? [];
    this.timeline.point(time, faces);
    const came = await this.#wind(time);
    if (came || this.#state !== 'over' || this.#moment !== time) return;
    notice('film', 'This film cannot be wound. What was found at the moment is told, but its picture is not shown.');
    this.#tellFaces(faces, null);
  }

  /** Whether the video comes to a moment. */
  async #wind(time) {
    const { video } = this;
    if (Math.abs(video.currentTime - time) < 1e-3 && !video.seeking) {
      if (this.#state === 'over') this.#show(time);
      return true;
    }
    const arrived = new Promise((done) => video.addEventListener('seeked', done, { once: true }));
    video.currentTime = time;
    await Promise.race([arrived, new Promise((done) => setTimeout(done, 3000))]);
    return Math.abs(video.currentTime - time) < 1 || video.seeking;
  }

  /** The faces of a moment of the film that is shown. */
  #show(shown) {
    const { video } = this;
    if (video.seeking) return;
    const time = video.paused ? video.currentTime : shown; // what was sought, though its frame began before
    this.#moment = time;
    const faces = this.found.at(time)?.faces ?? [];
    this.screen.draw(faces, this.#isMarked);
    this.timeline.point(time, faces);
    if (video.paused || this.#isDue('panel', PANEL_EVERY)) this.#tellFaces(faces, video);
  }

  /** Follow one person, or none in particular. */
  choose(key) {
    this.#chosen = key === null ? null : Number(key);
    this.panel.choose(key);
    this.people.choose(key);
    this.#showPerson(this.#chosen ?? this.#leading());
    this.timeline.point(this.#moment, this.found.at(this.#moment)?.faces ?? []);
    this.#redraw();
  }

  /** Which face is pointed at. */
  point(key) {
    this.#pointed = key === null ? null : Number(key);
    this.#redraw();
  }

  #redraw() {
    if (this.#state === 'over') this.screen.draw(this.screen.faces, this.#isMarked);
  }

  /** What the page saves: all of the film. */
  get records() {
    return this.found?.all ?? [];
  }

  /** What a picture is called that is saved. */
  get title() {
    return `${this.name.replace(/\.[^.]+$/, '')}-${clock(this.#moment, 1).replaceAll(':', '.')}`;
  }

  /** What is to be drawn into a picture. */
  get still() {
    return this.screen.still;
  }

  /** Stop before the end; what was found until then stays. */
  stop() {
    if (this.#state === 'working') this.#finish('partly');
  }

  /** Stop, and forget. */
  close() {
    clearInterval(this.timer);
    this.#state = 'closed';
    this.unwatch?.();
    document.removeEventListener('visibilitychange', this.onHidden);
    this.feeder?.close();
    this.video?.pause();
    this.timeline?.close();
    this.people?.root.remove();
    delete byId('work').dataset.film;
    delete byId('work').dataset.moving;
    this.video?.removeAttribute('src');
    this.video?.load();
    if (this.address) URL.revokeObjectURL(this.address);
    forget('film');
    byId('stage').replaceChildren();
  }
}

function ordinal(number) {
  return number === 2 ? 'second' : `${number}th`;
}
