/**
 * How fast a film is played to an engine, and which of its frames are looked at.
 *
 * Every frame is, where that takes no longer than watching the film, or a minute. Of a long film ten a second are, and
 * of any film as many as an engine that is slower than that can look at while the film is played as usual.
 */

const LONG = 600; // seconds
const LONG_STEP = 0.1;
const PATIENCE = 60;
const WARM = 3; // seconds before the engine's speed is believed
const RATES = [0.25, 16]; // that browsers play at
const SLOWER = 0.8;
const FASTER = 1.15; // a step; what was too fast is tried again after some twenty
const RELAX = 1.02;

/** Frames that wait for the engine: from the first number on the film is played slower, at the second it is halted. */
export const WAITING = { many: 5, full: 8, few: 2 };

export class Pace {
  rate = 1;
  step = 0;
  #taken = false;
  #missed = false;
  #gaps = false; // which films of changing speed have as well
  #interval = Infinity;
  #ceiling = RATES[1];

  /** @param {number} duration In seconds; Infinity where it is not known. */
  constructor(duration) {
    this.duration = duration;
    if (Number.isFinite(duration) && duration > LONG) this.step = LONG_STEP;
  }

  /** Whether a frame is looked at, the last one having had that time; `missed`: others have come between them. */
  takes(time, last, missed) {
    const gap = time - last;
    if (gap <= 0 || gap < this.step * 0.9) return false;
    this.#taken = true;
    if (!Number.isFinite(gap)) return true;
    this.#interval = Math.min(this.#interval, gap);
    if (this.step) this.#missed ||= gap > 2 * this.step;
    else this.#missed ||= missed;
    this.#gaps ||= gap > 1.6 * Math.max(this.#interval, this.step);
    return true;
  }

  /**
   * Settle the speed, a few times a second.
   * @param {{waiting: number, looked: number, worked: number, time: number}} how Frames that wait for the engine and
   *     that it has looked at, seconds that it has worked, and where the film is.
   * @returns {number} The speed at which the film is to be played.
   */
  settle({ waiting, looked, worked, time }) {
    const missed = this.#missed || (this.#gaps && this.rate > 1);
    if (missed) this.#ceiling = this.rate * 0.9;
    if (waiting >= WAITING.many || missed) this.rate *= SLOWER;
    else if (waiting <= 1 && this.#taken) this.rate *= FASTER; // not on without having seen what it does
    this.#missed = this.#gaps = this.#taken = false;
    this.#ceiling = Math.min(this.#ceiling * RELAX, RATES[1]);
    this.rate = Math.max(Math.min(this.rate, this.#ceiling), RATES[0]);
    if (worked > WARM && time > 0 && looked > 1) {
      const duration = Number.isFinite(this.duration) ? this.duration : Math.max(time, PATIENCE);
      const budget = Math.max(duration, PATIENCE);
      const [whole, every] = [(duration * worked) / time, worked / looked];
      if (whole > budget) this.step = Math.max(this.step, Math.min((every * duration) / budget, 1));
    }
    return this.rate;
  }

  /** Seconds until the end; null while nobody can know. */
  left({ worked, time }) {
    if (!Number.isFinite(this.duration) || worked < 1 || time <= 0) return null;
    return ((this.duration - time) * worked) / time;
  }
}
