/** Faces drawn onto a canvas: over the picture on the stage, over a live picture, and into the picture that is saved. */
import { measureLine, measureText, placeTags } from './place.js';
import { describe } from './words.js';

const FONT = 'Inter, system-ui, sans-serif';
const RIM = 'white'; // beside a line, so that it is seen on any ground
const SHADE = 'rgb(10 12 16 / 0.75)'; // beside dashes

function font(size) {
  return `600 ${size}px ${FONT}`;
}

function outline(context, { x, y, width, height }, colour, line, sure, scale) {
  const radius = Math.min(width, height) * 0.08;
  const path = () => {
    context.beginPath();
    context.roundRect(x, y, width, height, radius);
    context.stroke();
  };
  context.lineWidth = line + Math.max(scale, line * 0.6);
  context.strokeStyle = sure ? RIM : SHADE;
  path();
  context.setLineDash(sure ? [] : [4 * line + 2 * scale, 2.5 * line + 2 * scale]);
  context.lineWidth = line;
  context.strokeStyle = colour;
  path();
  context.setLineDash([]);
}

/** A dark plate with white text, and a bar in the emotion's colour before it, which is broken where it is unsure. */
function drawPlate(context, { text, x, y, width, height, size }, colour, sure, { plate, opacity }) {
  context.globalAlpha = opacity;
  context.fillStyle = plate;
  context.beginPath();
  context.roundRect(x, y, width, height, height * 0.28);
  context.fill();
  context.globalAlpha = 1;
  const bar = { x: x + size * 0.45, y: y + height * 0.22, width: size * 0.34, height: height * 0.56 };
  const parts = sure ? [[0, 1]] : [0, 0.4, 0.8].map((start) => [start, 0.2]);
  for (const [start, share] of parts) {
    context.beginPath();
    context.roundRect(bar.x, bar.y + start * bar.height, bar.width, share * bar.height, sure ? bar.width / 2 : 0);
    context.fillStyle = colour;
    context.fill();
    if (!sure) continue;
    context.lineWidth = Math.max(0.5, size / 18);
    context.strokeStyle = 'rgb(255 255 255 / 0.55)'; // some colours are as dark as the plate
    context.stroke();
  }
  write(context, text, x + size * 1.19, y + height / 2, size);
}

/** A number in a dot of the colour; its rim is broken where the network is unsure. */
function drawDot(context, { text, x, y, width, height, size }, colour, sure) {
  const line = Math.max(1, size / 9);
  context.beginPath();
  context.roundRect(x + line / 2, y + line / 2, width - line, height - line, (height - line) / 2);
  context.fillStyle = colour;
  context.fill();
  context.lineWidth = line;
  if (!sure) context.setLineDash([2 * line, 2 * line]);
  context.strokeStyle = RIM;
  context.stroke();
  context.setLineDash([]);
  context.textAlign = 'center';
  write(context, text, x + width / 2, y + height / 2, size);
  context.textAlign = 'start';
}

function write(context, text, x, y, size) {
  context.font = font(size);
  context.fillStyle = 'white';
  context.textBaseline = 'middle';
  context.fillText(text, x, y + size * 0.05);
}

/** What stands beside a face, from the longest to the shortest; among several faces its number comes first. */
function nameFaces(faces, unsureBelow, { letters }) {
  return faces.map((face, index) => {
    const said = describe(face, unsureBelow, letters);
    const number = faces.length > 1 ? String(face.identity ?? index + 1) : '';
    return { face, said, number, tags: said.tags.map((text) => (number ? `${number} ${text}` : text)) };
  });
}

/**
 * Draw faces onto a picture of their own scale.
 * @param {CanvasRenderingContext2D} context
 * @param {import('./words.js').Answer[]} faces
 * @param {{colours: Record<string, string>, unsureBelow: number, drawing: object, width: number, height: number,
 *          scale?: number, mirror?: boolean, chosen?: (face: object) => boolean}} options `scale`: how many canvas pixels
 *     a reader sees as one; `drawing`: the rules of config.json.
 * @returns {(import('./place.js').Tag | null)[]} What stands beside each face.
 */
export function drawFaces(context, faces, { colours, unsureBelow, drawing, width, height, scale = 1, mirror = false, chosen }) {
  const named = nameFaces(faces, unsureBelow, drawing).map((one) => {
    const [x, y, w, h] = one.face.box;
    return { ...one, box: { x: mirror ? width - x - w : x, y, width: w, height: h } };
  });
  const longer = Math.max(width, height);
  for (const { face, box, said } of named) {
    const line = measureLine(box.width, { longer, rules: drawing, scale }) * (chosen?.(face) ? 1.6 : 1);
    const colour = said.sure ? colours[face.predicted_emotion] : drawing.unsure;
    outline(context, box, colour, line, said.sure, scale);
  }
  const measure = (text, size) => {
    context.font = font(size);
    return context.measureText(text).width;
  };
  const tags = placeTags(named, { width, height, rules: drawing, measure, scale });
  tags.forEach((tag, index) => {
    const { face, said } = named[index];
    if (!tag) return;
    const colour = colours[face.predicted_emotion];
    if (tag.kind === 'dot') drawDot(context, tag, said.sure ? colour : drawing.plate, said.sure);
    else drawPlate(context, tag, said.sure ? colour : drawing.unsure, said.sure, drawing);
  });
  return tags;
}

/**
 * What dots and letters mean: how many faces show each emotion, where beside some of them stands no word.
 * @param {object[]} faces
 * @param {(import('./place.js').Tag | null)[]} tags Of {@link drawFaces}.
 * @param {number} unsureBelow
 * @returns {{label: string, count: number, sure: boolean}[]} The most frequent first; empty where all is said in words.
 */
export function countColours(faces, tags, unsureBelow) {
  if (tags.every((tag) => tag?.word)) return [];
  const entries = new Map();
  for (const face of faces) {
    const { sure } = describe(face, unsureBelow);
    const label = sure ? face.predicted_emotion : 'unsure';
    const key = `${sure} ${label}`;
    if (!entries.has(key)) entries.set(key, { label, count: 0, sure });
    entries.get(key).count += 1;
  }
  return [...entries.values()].sort((one, other) => other.count - one.count);
}

/** The rows of a legend in a strip of this width. */
function legendRows(context, entries, width, size) {
  context.font = font(size);
  const rows = [[]];
  let x = size;
  for (const entry of entries) {
    const text = `${entry.label} ${entry.count}`;
    const wide = context.measureText(text).width + size * 2.8;
    if (x + wide > width && rows.at(-1).length) {
      rows.push([]);
      x = size;
    }
    rows.at(-1).push({ ...entry, text, x });
    x += wide;
  }
  return rows;
}

function drawLegend(context, rows, { top, width, height, size, colours, drawing }) {
  context.fillStyle = drawing.plate;
  context.fillRect(0, top, width, height + 1);
  rows.forEach((row, index) => {
    const middle = top + size * (1.25 + 1.7 * index);
    for (const { label, sure, text, x } of row) {
      const dot = { text: '', x, y: middle - size * 0.55, width: size * 1.1, height: size * 1.1, size };
      drawDot(context, dot, sure ? colours[label] : drawing.plate, sure);
      write(context, text, x + size * 1.6, middle, size);
    }
  });
}

/**
 * A picture with its faces drawn; where dots stand for words, a strip below it tells what they mean.
 * @param {CanvasImageSource} picture
 * @param {{width: number, height: number}} size In pixels of the picture, as the boxes are.
 * @param {object[]} faces
 * @param {object} look `colours`, `unsureBelow` and `drawing`; `type` and `quality` of the file.
 * @returns {Promise<Blob>}
 */
export function annotated(picture, { width, height }, faces, { type = 'image/png', quality, ...look }) {
  const canvas = document.createElement('canvas');
  const draw = (strip) => {
    canvas.width = width;
    canvas.height = height + strip;
    const context = canvas.getContext('2d');
    if (look.mirror) context.setTransform(-1, 0, 0, 1, width, 0);
    context.drawImage(picture, 0, 0, width, height);
    context.resetTransform();
    return { context, tags: drawFaces(context, faces, { ...look, width, height }) };
  };
  const { context, tags } = draw(0);
  const entries = countColours(faces, tags, look.unsureBelow);
  if (entries.length) {
    const size = measureText(0, { width, height, rules: look.drawing });
    const rows = legendRows(context, entries, width, size);
    const strip = Math.ceil(size * (0.8 + 1.7 * rows.length));
    draw(strip);
    drawLegend(context, rows, { ...look, top: height, width, height: strip, size });
  }
  return new Promise((done, failed) => {
    const made = (blob) => (blob ? done(blob) : failed(new Error('the picture is too large for this browser')));
    canvas.toBlob(made, type, quality);
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
