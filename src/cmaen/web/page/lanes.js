/** Curves of one face: a lane for each emotion, so that nothing hangs on colour alone, each from 0 to 100%. */
import { element, tint } from './dom.js';
import { percent } from './words.js';

const LANE = 28;
const AIR = 6;

export class Lanes {
  #rows = new Map();

  /** @param {{labels: string[], colours: Record<string, string>}} look */
  constructor({ labels, colours }) {
    this.labels = labels;
    this.canvas = element('canvas', { role: 'img' });
    const names = element('ul', { class: 'lanes' });
    const scale = element('ul', { class: 'lane-scale', 'aria-hidden': 'true' });
    for (const label of labels) {
      const value = element('span', { class: 'number' });
      const [dot, name] = [element('span', { class: 'dot' }), element('span', { class: 'name' }, label)];
      const row = element('li', {}, dot, name, value);
      tint(row, colours[label]);
      names.append(row);
      scale.append(element('li', {}, element('span', {}, '100%'), element('span', {}, '0')));
      this.#rows.set(label, { row, value, dot });
    }
    this.box = element('div', { class: 'lane-field' }, this.canvas);
    this.root = element('div', { class: 'lane-box' }, names, scale, this.box);
  }

  /** What the lanes show at the moment that is looked at: shares in the order of the labels, or nothing. */
  tell(shares) {
    const best = shares ? shares.indexOf(Math.max(...shares)) : -1;
    this.labels.forEach((label, i) => {
      const { row, value } = this.#rows.get(label);
      value.textContent = shares ? percent(shares[i]) : '';
      row.classList.toggle('most', i === best);
    });
  }

  /**
   * An empty field.
   * @param {number[]} moments Where it has lines across all lanes, from 0 to 1.
   * @returns {{context: CanvasRenderingContext2D, width: number, height: number}} In pixels of the page.
   */
  begin(moments) {
    const { canvas, labels } = this;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, LANE * labels.length];
    const size = { width: Math.round(width * ratio), height: Math.round(height * ratio) };
    if (canvas.width !== size.width || canvas.height !== size.height) Object.assign(canvas, size);
    const context = canvas.getContext('2d');
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.strokeStyle = getComputedStyle(canvas).borderBottomColor;
    context.lineWidth = 1;
    const line = (x, y, right, bottom) => {
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(right, bottom);
      context.stroke();
    };
    for (const moment of moments) {
      const x = Math.min(Math.max(Math.round(moment * width) + 0.5, 0.5), width - 0.5);
      line(x, 0, x, height);
    }
    labels.forEach((_, lane) => {
      line(0, bottomOf(lane), width, bottomOf(lane));
      context.setLineDash([2, 3]);
      line(0, bottomOf(lane) - LANE + AIR, width, bottomOf(lane) - LANE + AIR);
      context.setLineDash([]);
    });
    return { context, width, height };
  }

  /**
   * Fill a lane under a curve.
   * @param {CanvasRenderingContext2D} context
   * @param {number} lane
   * @param {{x: number, share: number}[]} points From the left to the right.
   * @param {{alpha?: number, line?: boolean}} how
   */
  fill(context, lane, points, { alpha = 0.38, line = true } = {}) {
    const bottom = bottomOf(lane);
    const tone = this.#toneOf(lane);
    const y = (share) => bottom - share * (LANE - AIR);
    const path = () => points.forEach(({ x, share }, i) => (i ? context.lineTo(x, y(share)) : context.moveTo(x, y(share))));
    context.fillStyle = context.strokeStyle = tone;
    context.beginPath();
    path();
    context.lineTo(points[points.length - 1].x, bottom);
    context.lineTo(points[0].x, bottom);
    context.globalAlpha = alpha;
    context.fill();
    context.globalAlpha = 1;
    if (!line) return;
    context.beginPath();
    path();
    context.lineWidth = 1.75;
    context.lineJoin = 'round';
    context.lineCap = 'round';
    if (points.length === 1) context.lineTo(points[0].x + 0.01, y(points[0].share));
    context.stroke();
  }

  #toneOf(lane) {
    return getComputedStyle(this.#rows.get(this.labels[lane]).dot).backgroundColor; // another one in the dark
  }
}

const bottomOf = (lane) => (lane + 1) * LANE - 3.5;
