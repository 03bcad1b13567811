/** The whole of a film for one person: a lane for each emotion, and a cursor by which the film is wound. */
import { clock, lasting, marks } from './clock.js';
import { element } from './dom.js';
import { columnsOf } from './film-records.js';
import { Lanes } from './lanes.js';
import { percent } from './words.js';

const MARK = { wide: 84, narrow: 52, from: 400 }; // pixels of the page that a mark has
const PAGE = 10; // a key turns so many seconds

export class FilmTimeline {
  #key = null;
  #end = 0;
  #moment = 0;
  #moments = [];

  /**
   * @param {{labels: string[], colours: Record<string, string>}} look
   * @param {(time: number) => void} onSeek
   */
  constructor(look, onSeek) {
    this.labels = look.labels;
    this.onSeek = onSeek;
    this.lanes = new Lanes(look);
    this.lanes.canvas.setAttribute('role', 'presentation');
    this.title = element('span', { class: 'whose' });
    this.clock = element('span', { class: 'clock' });
    this.cursor = element('div', { class: 'cursor', 'aria-hidden': 'true', hidden: true });
    this.axis = element('p', { class: 'film-axis', 'aria-hidden': 'true' });
    this.field = this.lanes.box;
    this.field.append(this.cursor, this.axis);
    for (const [name, value] of Object.entries({ role: 'slider', tabindex: 0, 'aria-label': 'Moment of the film' })) {
      this.field.setAttribute(name, value);
    }
    this.field.classList.add('seek');
    this.field.addEventListener('keydown', (event) => this.#turned(event));
    this.field.addEventListener('pointerdown', (event) => {
      this.field.setPointerCapture(event.pointerId);
      this.#pointed(event);
    });
    this.field.addEventListener('pointermove', (event) => event.buttons && this.#pointed(event));
    this.told = element('p', { class: 'unseen' });
    this.root = element(
      'section',
      { class: 'timeline film', id: 'timeline', 'aria-labelledby': 'timeline-title' },
      element('h2', { id: 'timeline-title' }, 'The whole film ', this.title, this.clock),
      this.lanes.root,
      this.told,
    );
    this.resized = new ResizeObserver(() => this.#paint());
    this.resized.observe(this.field);
  }

  /**
   * Show a person's moments.
   * @param {number | null} key Of the person.
   * @param {{time: number, until: number, shares: number[]}[]} moments
   * @param {number} end Of the film, in seconds.
   */
  show(key, moments, end) {
    [this.#key, this.#moments, this.#end] = [key, moments, end];
    this.title.textContent = key === null ? '' : `of person ${key}`;
    this.#paint();
    this.told.textContent = key === null ? 'No face was found yet' : this.#describe();
  }

  /** Which moment is looked at, and the faces there. */
  point(time, faces) {
    this.#moment = time;
    const digits = this.#end < 60 ? 1 : 0;
    this.clock.textContent = `${clock(time, digits)} of ${clock(this.#end, digits)}`;
    this.cursor.hidden = false;
    this.cursor.style.left = `${this.#end > 0 ? (100 * Math.min(time, this.#end)) / this.#end : 0}%`;
    const { field } = this;
    field.setAttribute('aria-valuemin', 0);
    field.setAttribute('aria-valuemax', this.#end.toFixed(2));
    field.setAttribute('aria-valuenow', Math.min(time, this.#end).toFixed(2));
    const face = faces.find(({ identity }) => identity === this.#key);
    this.lanes.tell(face ? this.labels.map((label) => face.probabilities[label]) : null);
    const gist = face ? `: ${face.predicted_emotion} ${percent(face.probabilities[face.predicted_emotion])}` : '';
    field.setAttribute('aria-valuetext', `${lasting(time)}${gist}`);
  }

  /** Nothing to seek in yet. */
  set busy(busy) {
    this.field.classList.toggle('busy', busy);
    if (busy) this.field.setAttribute('aria-disabled', 'true');
    else this.field.removeAttribute('aria-disabled');
    this.isBusy = busy;
  }

  close() {
    this.resized.disconnect();
    this.root.remove();
  }

  #seek(time) {
    if (!this.isBusy) this.onSeek(Math.min(Math.max(time, 0), this.#end));
  }

  #pointed({ clientX }) {
    const { left, width } = this.field.getBoundingClientRect();
    this.#seek(((clientX - left) / width) * this.#end);
  }

  #turned(event) {
    const { key, shiftKey } = event;
    const step = shiftKey ? PAGE : Math.min(1, this.#end / 20);
    const to = {
      ArrowLeft: this.#moment - step,
      ArrowDown: this.#moment - step,
      ArrowRight: this.#moment + step,
      ArrowUp: this.#moment + step,
      PageUp: this.#moment + PAGE,
      PageDown: this.#moment - PAGE,
      Home: 0,
      End: this.#end,
    }[key];
    if (to === undefined) return;
    event.preventDefault();
    this.#seek(to);
  }

  #describe() {
    const means = this.labels.map((label, i) => {
      const sum = this.#moments.reduce((total, { shares }) => total + shares[i], 0);
      return [sum / this.#moments.length, label];
    });
    const order = means.sort(([one], [other]) => other - one).slice(0, 3);
    return `Person ${this.#key} on average: ${order.map(([mean, label]) => `${label} ${percent(mean)}`).join(', ')}`;
  }

  #paint() {
    const { clientWidth } = this.lanes.canvas;
    if (!clientWidth) return;
    const most = Math.max(1, Math.floor(clientWidth / (clientWidth < MARK.from ? MARK.narrow : MARK.wide)));
    const { digits, moments } = marks(Math.max(this.#end, 0.1), most);
    const places = this.#end > 0 ? moments.map((moment) => moment / this.#end) : [0];
    const { context, width } = this.lanes.begin(places);
    this.axis.replaceChildren(
      ...places.map((place, i) => {
        const mark = element('span', {}, clock(moments[i], digits));
        mark.style.left = `${100 * place}%`;
        if (place * width > width - 24) mark.classList.add('last');
        return mark;
      }),
    );
    for (const run of columnsOf(this.#moments, this.#end, Math.ceil(width), this.labels.length)) {
      this.labels.forEach((_, lane) => {
        const points = (which) => run.map((column) => ({ x: column.x, share: column[which][lane] }));
        this.lanes.fill(context, lane, points('tops'), { alpha: 0.18, line: false });
        this.lanes.fill(context, lane, points('means'));
      });
    }
  }
}
