/**
 * What was found in a film: its frames in order of time, and what they say of each person.
 *
 * At most `most` faces are kept. Where a film has more, every second frame is forgotten and from then on only every
 * second one kept, then every fourth, and so on: the whole film stays, less densely.
 *
 * @typedef {{time: number, faces: import('./words.js').Answer[], frame: number}} FilmRecord
 */

const MOST_FACES = 100000; // about 100 MB

export class FilmRecords {
  #records = [];
  #faces = 0;
  #offered = 0;
  #persons = null;

  /** @param {string[]} labels */
  constructor(labels, most = MOST_FACES) {
    this.labels = labels;
    this.most = most;
    this.stride = 1;
  }

  /** @returns {FilmRecord[]} */
  get all() {
    return this.#records;
  }

  /** How many frames were looked at, kept or not. */
  get looked() {
    return this.#offered;
  }

  /** The time of the last frame. */
  get end() {
    return this.#records.length ? this.#records[this.#records.length - 1].time : 0;
  }

  /** Take in the next frame; one that is not later than the last is none. */
  add(record) {
    if (this.#records.length && record.time <= this.end) return;
    this.#offered += 1;
    if ((this.#offered - 1) % this.stride) return;
    this.#records.push(record);
    this.#faces += Math.max(record.faces.length, 1);
    this.#persons = null;
    if (this.#faces <= this.most) return;
    this.stride *= 2;
    this.#records = this.#records.filter((_, i) => i % 2 === 0);
    this.#faces = this.#records.reduce((sum, { faces }) => sum + Math.max(faces.length, 1), 0);
  }

  /**
   * The record nearest in time.
   * @param {number} time In seconds.
   * @param {number} reach How far it may be, beside the usual distance of two frames.
   * @returns {FilmRecord | null}
   */
  at(time, reach = 0.25) {
    const records = this.#records;
    let [low, high] = [0, records.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (records[middle].time < time) low = middle + 1;
      else high = middle;
    }
    const [before, after] = [records[low - 1], records[low]];
    const nearest = !before || (after && after.time - time < time - before.time) ? after : before;
    if (!nearest) return null;
    const within = before && after ? (after.time - before.time) / 2 : 0; // each frame is shown until the next
    return Math.abs(nearest.time - time) <= Math.max(reach, within) ? nearest : null;
  }

  /**
   * Each person's moments in order of time, by identity.
   * @returns {Map<number, {time: number, until: number, shares: number[], best: number}[]>}
   */
  persons(end = this.end) {
    if (this.#persons?.end === end) return this.#persons.found;
    const found = new Map();
    this.#records.forEach(({ time, faces }, i) => {
      const until = Math.max(this.#records[i + 1]?.time ?? end, time); // a frame is shown until the next
      for (const { identity, probabilities, predicted_emotion } of faces) {
        if (!found.has(identity)) found.set(identity, []);
        const shares = this.labels.map((label) => probabilities[label] ?? 0);
        found.get(identity).push({ time, until, shares, best: this.labels.indexOf(predicted_emotion) });
      }
    });
    this.#persons = { end, found };
    return found;
  }

  /**
   * What a table says of each person, those seen longest first.
   * @param {number} end Of the film, in seconds.
   * @returns {{identity: number, seconds: number, first: number, frames: number,
   *            emotions: {label: string, share: number, peak: number, time: number}[]}[]} `share`: of the time in
   *     which the person is seen, how much the emotion was the most probable; `peak`: its highest probability.
   */
  summary(end = this.end) {
    const rows = [...this.persons(end)].map(([identity, moments]) => {
      const seconds = moments.reduce((sum, { time, until }) => sum + until - time, 0);
      const weightOf = ({ time, until }) => (seconds > 0 ? (until - time) / seconds : 1 / moments.length);
      const emotions = this.labels.map((label, i) => {
        const share = moments.reduce((sum, moment) => sum + (moment.best === i ? weightOf(moment) : 0), 0);
        const top = moments.reduce((best, moment) => (moment.shares[i] > best.shares[i] ? moment : best));
        return { label, share, peak: top.shares[i], time: top.time };
      });
      return { identity, seconds, first: moments[0].time, frames: moments.length, emotions };
    });
    return rows.sort((one, other) => other.seconds - one.seconds || one.identity - other.identity);
  }
}

/**
 * The moments of a person as so many columns of a picture: where a column has several, their mean and their highest.
 * @param {{time: number, until: number, shares: number[]}[]} moments
 * @param {number} end In seconds, where the last column ends.
 * @param {number} count Of columns.
 * @param {number} lanes
 * @returns {{x: number, means: number[], tops: number[]}[][]} Runs between which the person is away; `x` from 0 to
 *     `count`.
 */
export function columnsOf(moments, end, count, lanes) {
  const runs = [];
  let [run, column, until] = [null, null, -Infinity];
  for (const moment of moments) {
    if (!run || moment.time - until > 1e-6) {
      run = [];
      runs.push(run);
      column = null;
    }
    until = moment.until;
    const x = end > 0 ? (moment.time / end) * count : 0;
    if (!column || Math.floor(x) !== Math.floor(column.x)) {
      column = { x, several: 0, means: Array(lanes).fill(0), tops: Array(lanes).fill(0) };
      run.push(column);
    }
    column.several += 1;
    moment.shares.forEach((share, lane) => {
      column.means[lane] += (share - column.means[lane]) / column.several;
      column.tops[lane] = Math.max(column.tops[lane], share);
    });
    column.until = end > 0 ? (moment.until / end) * count : count;
  }
  for (const found of runs) {
    const last = found[found.length - 1];
    found.push({ ...last, x: Math.max(last.until, last.x) }); // the last frame lasts, too
  }
  return runs.map((found) => found.map(({ x, means, tops }) => ({ x, means, tops })));
}
