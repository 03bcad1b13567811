/** The last minute of a live view. */
import { element } from './dom.js';
import { Lanes } from './lanes.js';
import { percent } from './words.js';

const GAP = 1;

/** What is shown and kept. */
export const SECONDS = 60;

/** The key of the face that leads. */
export const LEADING = 'leading';

export class Timeline {
  #tracks = new Map();
  #shown = null;
  #drawn = 0;

  /** @param {{labels: string[], colours: Record<string, string>}} look */
  constructor(look) {
    this.labels = look.labels;
    this.lanes = new Lanes(look);
    this.title = element('span', { class: 'whose' });
    const axis = ['60 s ago', '30 s', 'now'].map((text) => element('span', {}, text));
    this.root = element(
      'section',
      { class: 'timeline', id: 'timeline', 'aria-labelledby': 'timeline-title' },
      element('h2', { id: 'timeline-title' }, 'The last minute ', this.title),
      this.lanes.root,
      element('p', { class: 'axis', 'aria-hidden': 'true' }, ...axis),
    );
    this.calm = matchMedia('(prefers-reduced-motion: reduce)');
    this.lanes.canvas.setAttribute('aria-label', 'The last minute: no face yet');
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
      this.#tracks.get(key).push({ time, shares: this.labels.map((label) => face.probabilities[label]) });
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
    const { context, width } = this.lanes.begin([0, 0.5, 1]);
    const x = (moment) => width - ((time - moment.time) / SECONDS) * width;
    for (const run of runs(track)) {
      this.labels.forEach((_, lane) => {
        const points = run.map((moment) => ({ x: x(moment), share: moment.shares[lane] }));
        this.lanes.fill(context, lane, points);
      });
    }
    this.lanes.tell(track[track.length - 1]?.shares ?? null);
    this.lanes.canvas.setAttribute('aria-label', this.#told(track));
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
