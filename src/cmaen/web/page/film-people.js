/** Who is in a film: a table with how long each person is seen, how much of it which emotion, and when it is strongest. */
import { clock, lasting } from './clock.js';
import { element, tint } from './dom.js';
import { counted, percent } from './words.js';

const MOST = 40; // rows; those seen longest
const PORTRAIT = 88;
const MOST_PORTRAITS = 300;

export class People {
  #portraits = new Map();
  #shown = '';

  /**
   * @param {{labels: string[], colours: Record<string, string>}} look
   * @param {{onSeek: (time: number, identity: number) => void, onChoose: (key: string | null) => void}} listeners
   */
  constructor(look, listeners) {
    this.look = look;
    this.listeners = listeners;
    this.title = element('h2', { id: 'people-title' }, 'People');
    this.table = element('table');
    this.more = element('p', { class: 'fine-print' });
    this.root = element(
      'section',
      { class: 'people', id: 'people', 'aria-labelledby': 'people-title', hidden: true },
      this.title,
      element(
        'div',
        { class: 'people-scroll', role: 'group', tabindex: 0, 'aria-label': 'Table of people' },
        this.table,
      ),
      this.more,
    );
  }

  /**
   * Keep the best look at a face.
   * @param {CanvasImageSource} picture
   * @param {import('./words.js').Answer} face
   * @param {number[]} box Where it is in the picture.
   */
  portray(picture, { identity, confidence }, [x, y, width, height]) {
    const known = this.#portraits.get(identity);
    const worth = confidence * Math.min(Math.max(width, height), PORTRAIT);
    if (known ? worth < 1.1 * known.worth : this.#portraits.size >= MOST_PORTRAITS) return;
    const canvas = known?.canvas ?? element('canvas', { width: PORTRAIT, height: PORTRAIT, 'aria-hidden': 'true' });
    const side = Math.max(width, height) * 1.1;
    const [left, top] = [x + width / 2 - side / 2, y + height / 2 - side / 2];
    const context = canvas.getContext('2d');
    context.clearRect(0, 0, PORTRAIT, PORTRAIT);
    context.drawImage(picture, left, top, side, side, 0, 0, PORTRAIT, PORTRAIT);
    this.#portraits.set(identity, { canvas, worth });
  }

  /**
   * Show the rows.
   * @param {ReturnType<import('./film-records.js').FilmRecords['summary']>} rows
   * @param {number} end Of the film, in seconds.
   */
  show(rows, end) {
    const { labels } = this.look;
    this.root.hidden = !rows.length;
    this.title.textContent = counted(rows.length, 'person').replace('persons', 'people');
    this.table.replaceChildren(
      element(
        'thead',
        {},
        element(
          'tr',
          {},
          element('th', { scope: 'col' }, 'Person'),
          element('th', { scope: 'col', class: 'amount' }, 'Seen'),
          ...labels.map((label) => {
            const head = element('th', { scope: 'col' }, element('span', { class: 'dot' }), label);
            tint(head, this.look.colours[label]);
            return head;
          }),
        ),
      ),
      element('tbody', {}, ...rows.slice(0, MOST).map((row) => this.#row(row, end))),
    );
    const hidden = rows.length - MOST;
    this.more.textContent =
      'Share of the time in which the person is seen; below it the highest probability and its moment.' +
      (hidden > 0 ? ` ${counted(hidden, 'person').replace('persons', 'people')} seen for less time are in CSV and JSON.` : '');
    this.choose(this.#shown || null);
  }

  /** Which person is chosen. */
  choose(key) {
    this.#shown = key ?? '';
    for (const row of this.table.querySelectorAll('tbody tr')) {
      const chosen = row.dataset.key === key;
      row.classList.toggle('chosen', chosen);
      row.querySelector('.person').setAttribute('aria-pressed', String(chosen));
    }
  }

  #row({ identity, seconds, frames, emotions }, end) {
    const key = String(identity);
    const most = Math.max(...emotions.map(({ share }) => share));
    const head = element(
      'button',
      { type: 'button', class: 'person', 'aria-pressed': 'false', onclick: () => this.listeners.onChoose(key) },
      this.#portraits.get(identity)?.canvas ?? element('span', { class: 'portrait' }),
      element('span', {}, element('span', { class: 'unseen' }, 'Person '), key),
    );
    const cells = emotions.map(({ label, share, peak, time }) => {
      const at = clock(time, end < 60 ? 1 : 0);
      const unseen = (text) => element('span', { class: 'unseen' }, text);
      const button = element(
        'button',
        { type: 'button', class: 'peak', title: 'Show that moment', onclick: () => this.listeners.onSeek(time, identity) },
        unseen(`${label}: `),
        element('span', { class: 'share' }, percent(share)),
        unseen(' of the time, at most '),
        element('span', { class: 'when' }, `${percent(peak)} · ${at}`),
      );
      const cell = element('td', { class: share === most ? 'most' : '' }, button);
      tint(cell, this.look.colours[label]);
      button.style.setProperty('--share', share.toFixed(3));
      return cell;
    });
    const row = element(
      'tr',
      {},
      element('th', { scope: 'row' }, head),
      element('td', { class: 'amount' }, seconds > 0 ? lasting(seconds) : counted(frames, 'frame')),
      ...cells,
    );
    row.dataset.key = key;
    return row;
  }
}
