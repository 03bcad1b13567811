/** The last minute of one face: a lane for each emotion, so that nothing hangs on colour alone. */
import { element, tint } from './dom.js';
import { percent } from './words.js';

const GAP = 1;
const LANE = 30;

/** What is shown and kept. */
export const SECONDS = 60;

/** The key of the face that leads. */
export const LEADING = 'leading';

export class Timeline {
  #tracks = new Map();
  #shown = null;
  #values = new Map();
  #drawn = 0;

  /**
   * @param {HTMLElement} root
   * @param {{labels: string[], colours: Record<string, string>}} options
   */
  constructor(root, { labels, colours }) {
    this.root = root;
    this.labels = labels;
    this.colours = colours;
    this.canvas = element('canvas', { role: 'img', 'aria-label': 'The last minute' });
    this.title = element('span', { class: 'whose' });
    const names = element('ul', { class: 'lanes' });
    for (const label of labels) {
      const value = element('span', { class: 'number' });
      const row = element(
        'li',
        {},
        element('span', { class: 'dot' }),
        element('span', { class: 'name' }, label),
        value,
      );
      tint(row, colours[label]);
      names.append(row);
      this.#values.set(label, { row, value });
    }
    root.replaceChildren(
      element('h2', { id: 'timeline-title' }, 'The last minute ', this.title),
      element('div', { class: 'lane-box' }, names, this.canvas),
      element(
        'p',
        { class: 'axis', 'aria-hidden': 'true' },
        element('span', {}, '60 s ago'),
        element('span', {}, '30 s'),
        element('span', {}, 'now'),
      ),
    );
    this.calm = matchMedia('(prefers-reduced-motion: reduce)');
  }

  /**
   * Take in the faces of a moment.
   * @param {number} time In seconds.
   * @param {object[]} faces
   * @param {object} [leading] The one that is shown while none is chosen; it may be another at another time.
   */
  add(time, faces, leading) {
    const found = faces.map((face) => [face.identity, face]);
    if (leading) found.push([LEADING, leading]);
    for (const [key, face] of found) {
      if (!this.#tracks.has(key)) this.#tracks.set(key, []);
      const track = this.#tracks.get(key);
      if (track.length && time < track[track.length - 1].time) track.length = 0; // a video went back
      track.push({ time, shares: this.labels.map((label) => face.probabilities[label]) });
    }
    for (const [key, track] of this.#tracks) {
      while (track.length && (time - track[0].time > SECONDS + 1 || track[0].time > time)) track.shift();
      if (!track.length) this.#tracks.delete(key);
    }
  }

  /** Draw the minute of one face up to a moment, at most ten times a second. */
  draw(key, time) {
    const now = performance.now();
    if (key === this.#shown && now - this.#drawn < (this.calm.matches ? 1000 : 100)) return;
    this.#drawn = now;
    this.#shown = key;
    const track = this.#tracks.get(key) ?? [];
    this.title.textContent = key === LEADING ? '' : `of face ${key}`;
    this.#paint(track, time);
    const last = track[track.length - 1];
    const best = last ? last.shares.indexOf(Math.max(...last.shares)) : -1;
    this.labels.forEach((label, i) => {
      const { row, value } = this.#values.get(label);
      value.textContent = last ? percent(last.shares[i]) : '';
      row.classList.toggle('most', i === best);
    });
    this.canvas.setAttribute('aria-label', this.#told(track));
  }

  #told(track) {
    if (!track.length) return 'The last minute: no face yet';
    const means = this.labels.map((_, i) => track.reduce((sum, { shares }) => sum + shares[i], 0) / track.length);
    const order = means.map((mean, i) => [mean, this.labels[i]]).sort(([one], [other]) => other - one);
    const seconds = Math.round(track[track.length - 1].time - track[0].time);
    return `The last ${seconds} seconds on average: ${order
      .slice(0, 3)
      .map(([mean, label]) => `${label} ${percent(mean)}`)
      .join(', ')}`;
  }

  #paint(track, time) {
    const { canvas, labels } = this;
    const ratio = devicePixelRatio || 1;
    const width = canvas.clientWidth;
    const height = LANE * labels.length;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== height * ratio) {
      canvas.width = Math.round(width * ratio);
      canvas.height = height * ratio;
    }
    const style = getComputedStyle(canvas);
    const context = canvas.getContext('2d');
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.strokeStyle = style.getPropertyValue('border-bottom-color');
    context.lineWidth = 1;
    for (const x of [0.5, Math.round(width / 2) + 0.5, width - 0.5]) {
      context.beginPath();
      context.moveTo(x, 0);
      context.lineTo(x, height);
      context.stroke();
    }
    labels.forEach((label, lane) => {
      const bottom = (lane + 1) * LANE - 4.5;
      context.strokeStyle = style.getPropertyValue('border-bottom-color');
      context.beginPath();
      context.moveTo(0, bottom);
      context.lineTo(width, bottom);
      context.stroke();
      const tone = getComputedStyle(this.#values.get(label).row.firstChild).backgroundColor;
      for (const run of runs(track)) this.#area(context, run, lane, bottom, tone, width, time);
    });
  }

  #area(context, run, lane, bottom, tone, width, time) {
    const x = (moment) => width - ((time - moment.time) / SECONDS) * width;
    const y = (moment) => bottom - moment.shares[lane] * (LANE - 8);
    context.beginPath();
    context.moveTo(x(run[0]), bottom);
    for (const moment of run) context.lineTo(x(moment), y(moment));
    context.lineTo(x(run[run.length - 1]), bottom);
    context.fillStyle = tone;
    context.globalAlpha = 0.38;
    context.fill();
    context.globalAlpha = 1;
    context.beginPath();
    run.forEach((moment, i) => (i ? context.lineTo(x(moment), y(moment)) : context.moveTo(x(moment), y(moment))));
    context.strokeStyle = tone;
    context.lineWidth = 1.75;
    context.lineJoin = 'round';
    context.stroke();
  }
}

/** The pieces of a track between which the face was away. */
function runs(track) {
  const found = [];
  let last = -Infinity;
  for (const moment of track) {
    if (moment.time - last > GAP) found.push([]);
    found[found.length - 1].push(moment);
    last = moment.time;
  }
  return found;
}
