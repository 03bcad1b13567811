/** Faces drawn onto a canvas: over a live picture, and into the picture that is saved. */
import { describe } from './words.js';

const FONT = 'Inter, system-ui, sans-serif';

function outline(context, [x, y, width, height], colour, line, sure) {
  const radius = Math.min(width, height) * 0.08;
  const path = () => {
    context.beginPath();
    context.roundRect(x, y, width, height, radius);
    context.stroke();
  };
  context.lineWidth = line + Math.max(2, line * 0.7);
  context.strokeStyle = 'rgb(10 12 16 / 0.55)';
  path();
  context.setLineDash(sure ? [] : [3 * line, 2 * line]);
  context.lineWidth = line;
  context.strokeStyle = sure ? colour : 'white';
  path();
  context.setLineDash([]);
}

function label(context, text, [x, y, width, height], colour, size, bounds) {
  context.font = `600 ${size}px ${FONT}`;
  const pad = size * 0.55;
  const bar = size * 0.34;
  const start = 2 * pad + bar;
  const w = start + context.measureText(text).width + 1.4 * pad;
  const h = size * 1.8;
  const left = Math.min(Math.max(x + width / 2 - w / 2, 2), Math.max(2, bounds.width - w - 2));
  const above = y - h - size * 0.35;
  const top = above >= 2 ? above : Math.min(y + height + size * 0.35, bounds.height - h - 2);
  context.fillStyle = 'rgb(14 16 22 / 0.88)';
  context.beginPath();
  context.roundRect(left, top, w, h, h * 0.28);
  context.fill();
  context.fillStyle = colour;
  context.beginPath();
  context.roundRect(left + pad, top + h * 0.22, bar, h * 0.56, bar / 2);
  context.fill();
  context.fillStyle = 'white';
  context.textBaseline = 'middle';
  context.fillText(text, left + start - pad * 0.2, top + h / 2 + size * 0.04);
}

/**
 * Draw faces onto a picture of their own scale.
 * @param {CanvasRenderingContext2D} context
 * @param {import('./words.js').Answer[]} faces
 * @param {{colours: Record<string, string>, unsureBelow: number, width: number, height: number, unit: number,
 *          mirror?: boolean, chosen?: (face: object) => boolean}} options `unit`: how many canvas pixels a line is wide.
 */
export function drawFaces(context, faces, { colours, unsureBelow, width, height, unit, mirror = false, chosen }) {
  const placed = faces.map((face) => {
    const [x, y, w, h] = face.box;
    return { face, box: [mirror ? width - x - w : x, y, w, h], said: describe(face, unsureBelow) };
  });
  for (const { face, box, said } of placed) {
    outline(context, box, colours[face.predicted_emotion], unit * (chosen?.(face) ? 2 : 1.25), said.sure);
  }
  for (const { face, box, said } of placed) {
    const size = Math.min(Math.max(box[2] / 14, 6 * unit), 9 * unit);
    label(context, said.tag, box, colours[face.predicted_emotion], size, { width, height });
  }
}

/**
 * A picture with its faces drawn, as a PNG.
 * @param {CanvasImageSource} picture
 * @param {{width: number, height: number}} size In pixels of the picture, as the boxes are.
 * @param {object[]} faces
 * @param {object} look `colours` and `unsureBelow`.
 * @returns {Promise<Blob>}
 */
export function annotated(picture, { width, height }, faces, look) {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d');
  if (look.mirror) context.setTransform(-1, 0, 0, 1, width, 0);
  context.drawImage(picture, 0, 0, width, height);
  context.resetTransform();
  drawFaces(context, faces, { ...look, width, height, unit: Math.max(2, Math.min(width, height) / 260) });
  return new Promise((done, failed) => {
    canvas.toBlob((blob) => (blob ? done(blob) : failed(new Error('the picture is too large'))), 'image/png');
  });
}

/**
 * The square around a face, small, on a canvas.
 * @param {HTMLCanvasElement} canvas
 * @param {CanvasImageSource} picture
 * @param {number[]} box
 */
export function drawCrop(canvas, picture, [x, y, width, height]) {
  const side = Math.max(width, height) * 1.1;
  const context = canvas.getContext('2d');
  context.clearRect(0, 0, canvas.width, canvas.height);
  const [left, top] = [x + width / 2 - side / 2, y + height / 2 - side / 2];
  context.drawImage(picture, left, top, side, side, 0, 0, canvas.width, canvas.height);
}
